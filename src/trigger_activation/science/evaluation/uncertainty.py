"""How far an Eq. 7 mean would move with other networks, other draws of an attack and other test images.

Seeds and images are crossed: every network sees the same images. A seed stands for all that trainings and attacks draw,
since surrogates of one seed attack victims of that seed. Images enter in the blocks that shared an attack's draws. The
variance of a mean is the sum of what its means by seed and its means by block show (two-way clustering: Cameron,
Gelbach and Miller 2011, without the term that they subtract, which only narrows intervals); its degrees of freedom are
Satterthwaite's (1946).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from trigger_activation.lazy import numpy as np
from trigger_activation.lazy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scores: TypeAlias = "NDArray[np.float64]"
"""(seeds, blocks), in percent: what a block adds to the accuracy of a seed; its mean over blocks is that accuracy."""


@dataclass(frozen=True)
class Variance:
    """An estimated variance and its degrees of freedom; infinite where nothing is known."""

    value: float
    freedom: float

    @classmethod
    def of_mean(cls, sample: NDArray[np.float64]) -> Variance:
        """Of the mean of independent numbers (n,)."""
        if len(sample) < 2:
            return UNKNOWN
        return cls(float(sample.var(ddof=1)) / len(sample), len(sample) - 1)

    def __add__(self, other: Variance) -> Variance:
        """Of the sum of two independent estimates."""
        total = self.value + other.value
        doubt = self.value**2 / self.freedom + other.value**2 / other.freedom
        return Variance(total, total**2 / doubt if 0 < doubt < math.inf else math.inf)

    def __mul__(self, factor: float) -> Variance:
        """Of a value whose variance is so many times as large."""
        return Variance(self.value * factor, self.freedom)


UNKNOWN = Variance(math.inf, math.inf)


@dataclass(frozen=True)
class Estimate:
    """A mean in percent, or a difference of two in points, with its variance."""

    mean: float
    variance: Variance
    one_seed: bool = False
    """Whether a mean of a single seed takes part, whose spread over seeds is unknown."""

    @property
    def known(self) -> bool:
        """Whether anything is known of its variance."""
        return self.variance.value < math.inf

    def margin(self, level: float = 0.95) -> float:
        """Half the width of Student's interval; infinite where the variance is unknown."""
        if not self.known:
            return math.inf
        quantile = float(special.stdtrit(self.variance.freedom, (1 + level) / 2))
        return quantile * math.sqrt(self.variance.value)

    @property
    def sign(self) -> int:
        """Of the mean, if zero lies outside the 95 % interval, otherwise 0: the data cannot tell."""
        if abs(self.mean) <= self.margin():
            return 0
        return 1 if self.mean > 0 else -1


def scores(correct: NDArray[np.bool_], block: int) -> Scores:
    """What each block of images adds to the accuracy of each seed.

    Args:
        correct: (seeds, pairs, N), whether a pair's victim classifies its surrogate's image correctly (Eq. 5).
        block: how many consecutive images shared an attack's draws; the last block may be shorter.

    Returns:
        (seeds, blocks) in percent. A short block counts with the images that it has.

    Raises:
        ValueError: the block size is not positive.
    """
    if block <= 0:
        raise ValueError(f"a block of {block} images: it must be positive")
    images = correct.shape[-1]
    hits = 100 * correct.mean(axis=1)
    means = hits.mean(axis=1, keepdims=True)
    starts = range(0, images, block)
    deviations = [(hits[:, start : start + block] - means).sum(axis=1) for start in starts]
    return np.asarray(means + np.stack(deviations, axis=1) * len(starts) / images)


def spread(values: Scores, blocks: int) -> Scores:
    """The same over more blocks, where fewer images were tried: what is known of those there weighs more.

    The mean and the variance that it shows stay what they are; blocks beyond those tried add nothing.
    """
    tried = values.shape[1]
    means = values.mean(axis=1, keepdims=True)
    weight = math.sqrt(blocks * (blocks - 1) / (tried * (tried - 1))) if tried > 1 else 1.0
    untried = np.zeros((len(values), blocks - tried))
    return np.asarray(means + np.hstack([(values - means) * weight, untried]))


def estimate(values: Scores, seed_variance: Variance = UNKNOWN) -> Estimate:
    """The mean of a cell over seeds and images.

    Args:
        values: see :data:`Scores`.
        seed_variance: of a single seed's accuracy, for values that have no more than one, if anything is known of it.
    """
    networks = Variance.of_mean(values.mean(axis=1)) if len(values) > 1 else seed_variance
    return Estimate(float(values.mean()), networks + Variance.of_mean(values.mean(axis=0)), len(values) == 1)


def contrast(left: Scores, right: Scores, paired: bool = True) -> Estimate:
    """The mean of ``left`` minus that of ``right``, over the same blocks of test images.

    Cells of as many seeds share the surrogates of each seed, so their differences are taken seed by seed, unless they
    are not paired; otherwise their seeds count as independent.
    """
    if paired and len(left) == len(right) > 1:
        return estimate(left - right)
    networks = [Variance.of_mean(each.mean(axis=1)) if len(each) > 1 else UNKNOWN for each in (left, right)]
    difference = left.mean(axis=0) - right.mean(axis=0)
    variance = networks[0] + networks[1] + Variance.of_mean(difference)
    return Estimate(float(difference.mean()), variance, min(len(left), len(right)) == 1)
