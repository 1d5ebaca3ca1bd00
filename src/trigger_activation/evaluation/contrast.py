"""Differences between cells, from the cells alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Difference:
    """One Eq. 7 mean minus another, in points of accuracy."""

    mean: float
    interval: tuple[float, float]
    """95 % of the paired bootstrap over images."""
    standard_error: float | None
    """Over victim seeds, which are independent in the two cells; None if one of them has a single seed."""

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
    return Difference(left["mean"] - right["mean"], (float(low), float(high)), _standard_error([left, right]))


def _standard_error(cells: Sequence[Mapping[str, Any]]) -> float | None:
    if any(cell["standard_deviation"] is None for cell in cells):
        return None
    return math.sqrt(sum(cell["standard_deviation"] ** 2 / len(cell["per_seed"]) for cell in cells))
