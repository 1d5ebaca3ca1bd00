"""Differences between cells, from the cells alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from scipy.special import stdtrit


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


def difference(left: Mapping[str, Any], right: Mapping[str, Any]) -> Difference:
    """``left`` minus ``right``, each the statistics of a cell over the same test images.

    The cells of a data set share the draws of their bootstrap, so the images' part of the noise is paired.
    """
    resampled = np.subtract(left["bootstrap"], right["bootstrap"])
    low, high = np.percentile(resampled, [2.5, 97.5])
    seeds = [_seed_variance(cell) for cell in (left, right) if len(cell["per_seed"]) > 1]
    error = math.sqrt(sum(variance for variance, _ in seeds)) if len(seeds) == 2 else None
    margin = _margin(float(np.var(resampled)), seeds)
    return Difference(left["mean"] - right["mean"], (float(low), float(high)), error, margin)


def mean_over(cells: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The statistics of the mean of several cells with the same victims and test images, as over a table's attacks."""
    per_seed = np.mean([cell["per_seed"] for cell in cells], axis=0)
    return {
        "mean": fmean(cell["mean"] for cell in cells),
        "per_seed": per_seed.tolist(),
        "standard_deviation": float(per_seed.std(ddof=1)) if len(per_seed) > 1 else None,
        "bootstrap": np.mean([cell["bootstrap"] for cell in cells], axis=0).tolist(),
    }


def _seed_variance(cell: Mapping[str, Any]) -> tuple[float, int]:
    """Variance over seeds of a cell's mean, and its degrees of freedom."""
    seeds = len(cell["per_seed"])
    return cell["standard_deviation"] ** 2 / seeds, seeds - 1


def _margin(images: float, seeds: Sequence[tuple[float, int]]) -> float:
    """Student's t with the degrees of freedom of Welch and Satterthwaite; the images' variance counts as known."""
    total = images + sum(variance for variance, _ in seeds)
    doubt = sum(variance**2 / freedom for variance, freedom in seeds)
    freedom = total**2 / doubt if doubt else math.inf
    return float(stdtrit(freedom, 0.975)) * math.sqrt(total)
