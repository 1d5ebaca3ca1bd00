"""Cross entropy and accuracy of a network on a set of images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trigger_activation.lazy import functional
from trigger_activation.science.images import to_float


def loss_and_accuracy(network: nn.Module, images: Tensor, labels: Tensor, batch_size: int) -> tuple[float, float]:
    """Mean cross entropy in nats and accuracy in percent.

    Args:
        network: in evaluation mode.
        images: uint8 (N, H, W, 3).
        labels: (N,).
        batch_size: of the evaluation.
    """
    loss, hits = 0.0, 0
    for batch, truth in zip(torch.split(images, batch_size), torch.split(labels, batch_size), strict=True):
        with torch.no_grad():
            logits = network(to_float(batch))
        loss += float(functional.cross_entropy(logits, truth, reduction="sum"))
        hits += int((logits.argmax(dim=1) == truth).sum())
    return loss / len(labels), 100 * hits / len(labels)
