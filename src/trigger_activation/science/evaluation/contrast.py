"""Differences between cells, from the cells alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trigger_activation.science.evaluation.results import PairMean, mean_over
from trigger_activation.science.evaluation.uncertainty import (
    UNKNOWN,
    Estimate,
    Variance,
    contrast,
    estimate,
    pooled,
    spread,
)


def difference(left: PairMean, right: PairMean, seed_variance: Variance = UNKNOWN, paired: bool = True) -> Estimate:
    """``left`` minus ``right`` in points, each the mean of a cell over the same test images.

    Args:
        left: of one cell.
        right: of the other.
        seed_variance: of a single seed's accuracy, for cells that have no more than one (see :func:`borrowed`).
        paired: whether the cells share the surrogates of each seed; those of two runs do not.
    """
    blocks = max(len(each.scores[0]) for each in (left, right))
    one, other = (spread(each.as_array(), blocks) for each in (left, right))
    return contrast(one, other, seed_variance, paired)


def estimated(found: PairMean, seed_variance: Variance = UNKNOWN) -> Estimate:
    """A mean with its variance."""
    return estimate(found.as_array(), seed_variance)


def over_images(found: PairMean) -> Estimate:
    """A mean with the variance that other images would bring, the networks being what they are."""
    return Estimate(found.mean, Variance.of_mean(found.as_array().mean(axis=0)))


def borrowed(columns: Iterable[Sequence[PairMean]]) -> Variance:
    """The variance of a single seed's accuracy, in the mean over some rows, from the columns that have several seeds.

    Args:
        columns: of one table, the means of its rows; each column's rows count as one mean.
    """
    return pooled([[mean_over(column).as_array()] for column in columns])


def told(found: Estimate, decimals: int = 1) -> str:
    """For people: ``+2.3 points ± 1.2 (95 %)``."""
    if not found.known:
        return f"{found.mean:+.{decimals}f} points (a single seed: how far others would move it is unknown)"
    return f"{found.mean:+.{decimals}f} points ± {found.margin():.{decimals}f} (95 %)"
