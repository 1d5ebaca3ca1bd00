"""Differences between cells, from the cells alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from trigger_activation.science.evaluation.results import PairMean


@dataclass(frozen=True)
class Difference:
    """One Eq. 7 mean minus another, in points of accuracy."""

    mean: float
    interval: tuple[float, float]
    """95 % of the paired bootstrap over images."""
    standard_error: float | None
    """Over victim seeds, which are independent in the two cells; None if one of them has a single seed."""
    margin: float
    """Half the 95 % interval that covers images and the victim seeds of each cell that has several."""

    def __str__(self) -> str:
        """For people: ``+2.3 points (images: +1.1 to +3.4, 95 %; seeds: standard error 1.2)``."""
        low, high = self.interval
        seeds = "one seed" if self.standard_error is None else f"seeds: standard error {self.standard_error:.1f}"
        return f"{self.mean:+.1f} points (images: {low:+.1f} to {high:+.1f}, 95 %; {seeds})"


def difference(left: PairMean, right: PairMean) -> Difference:
    """``left`` minus ``right``, each the mean of a cell over the same test images.

    The cells of a data set share the draws of their bootstrap, so the images' part of the noise is paired.
    """
    resampled = np.subtract(left.bootstrap, right.bootstrap)
    low, high = np.percentile(resampled, [2.5, 97.5])
    seeds = [_seed_variance(each) for each in (left, right) if len(each.per_seed) > 1]
    error = math.sqrt(sum(variance for variance, _ in seeds)) if len(seeds) == 2 else None
    margin = _margin(float(np.var(resampled)), seeds)
    return Difference(left.mean - right.mean, (float(low), float(high)), error, margin)


def _seed_variance(found: PairMean) -> tuple[float, int]:
    """Variance over seeds of a cell's mean, and its degrees of freedom."""
    assert found.standard_deviation is not None  # A mean over several seeds has one.
    seeds = len(found.per_seed)
    return found.standard_deviation**2 / seeds, seeds - 1


def _margin(images: float, seeds: Sequence[tuple[float, int]]) -> float:
    """Student's t with the degrees of freedom of Welch and Satterthwaite; the images' variance counts as known."""
    total = images + sum(variance for variance, _ in seeds)
    doubt = sum(variance**2 / freedom for variance, freedom in seeds)
    freedom = total**2 / doubt if doubt else math.inf
    return float(stdtrit(freedom, 0.975)) * math.sqrt(total)
