"""Eq. 7 means that are made up, with as much noise as a test wants."""

from __future__ import annotations

import numpy as np

from trigger_activation.science.evaluation.results import PairMean

BLOCKS = 10


def mean_of(*per_seed: float, images: float = 0.0, draw: int | None = None) -> PairMean:
    """A cell with the accuracy of each seed, in percent.

    Args:
        per_seed: accuracies.
        images: standard error that the images bring.
        draw: cells of one draw share what their images bring; unless given, theirs alternates.
    """
    alternating = np.tile([1.0, -1.0], BLOCKS // 2)
    noise = alternating if draw is None else np.random.default_rng(draw).standard_normal(BLOCKS)
    noise = (noise - noise.mean()) / noise.std(ddof=1) * np.sqrt(BLOCKS)
    return PairMean.of(np.array(per_seed)[:, None] + images * noise)
