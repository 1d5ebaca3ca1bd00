"""Differences between cells, from the cells alone."""

from __future__ import annotations

from trigger_activation.science.evaluation.results import PairMean
from trigger_activation.science.evaluation.uncertainty import (
    Estimate,
    Variance,
    contrast,
    estimate,
    spread,
)


def difference(left: PairMean, right: PairMean, paired: bool = True) -> Estimate:
    """``left`` minus ``right`` in points, each the mean of a cell over the same test images.

    Args:
        left: of one cell.
        right: of the other.
        paired: whether the cells share the surrogates of each seed; those of two runs do not.
    """
    blocks = max(len(each.scores[0]) for each in (left, right))
    one, other = (spread(each.as_array(), blocks) for each in (left, right))
    return contrast(one, other, paired)


def estimated(found: PairMean) -> Estimate:
    """A mean with its variance."""
    return estimate(found.as_array())


def over_images(found: PairMean) -> Estimate:
    """A mean with the variance that other images would bring, the networks being what they are."""
    return Estimate(found.mean, Variance.of_mean(found.as_array().mean(axis=0)))


def told(found: Estimate, decimals: int = 1) -> str:
    """For people: ``+2.3 points ± 1.2 (95 %)``."""
    if not found.known:
        return f"{found.mean:+.{decimals}f} points (a single seed: how far others would move it is unknown)"
    return f"{found.mean:+.{decimals}f} points ± {found.margin():.{decimals}f} (95 %)"
