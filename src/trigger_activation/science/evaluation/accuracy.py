"""Transfer robustness (paper, Eq. 5-7) and its uncertainty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trigger_activation.science.evaluation.results import PairMean
from trigger_activation.science.evaluation.uncertainty import scores
from trigger_activation.science.images import to_float


def predict(network: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    """Predicted classes (N,) of uint8 images (N, H, W, 3); the network is in evaluation mode."""
    return predict_each([network], map(to_float, torch.split(images, batch_size)))[0]


def predict_each(networks: Sequence[nn.Module], batches: Iterable[Tensor]) -> Tensor:
    """Classes (networks, N) that every network predicts for the same batches (B, 3, H, W) of images in [0, 1].

    A batch is asked for once and without gradients, so whatever prepares it does so once for all networks.
    """
    with torch.no_grad():
        predicted = [torch.stack([network(batch).argmax(dim=1) for network in networks]) for batch in batches]
    return torch.cat(predicted, dim=1)


def pair_mean(correct: NDArray[np.bool_], pairs: NDArray[np.bool_], block: int) -> PairMean:
    """Eq. 7 over chosen pairs.

    Args:
        correct: (seeds, T, S, N), whether victim t classifies image n of surrogate s correctly (Eq. 5).
        pairs: (T, S), which pairs take part.
        block: how many consecutive images shared an attack's draws.
    """
    return PairMean.of(scores(correct[:, pairs], block))


def all_pairs(victims: int, surrogates: int) -> NDArray[np.bool_]:
    """Every (victim, surrogate) pair."""
    return np.ones((victims, surrogates), dtype=bool)


def off_diagonal(victims: Sequence[str], surrogates: Sequence[str]) -> NDArray[np.bool_]:
    """Pairs of different architectures."""
    return np.array([[victim != surrogate for surrogate in surrogates] for victim in victims])
