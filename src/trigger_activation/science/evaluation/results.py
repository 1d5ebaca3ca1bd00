"""What evaluations find, as frozen models that cells and studies hold; they load without torch."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from trigger_activation.lazy import numpy as np
from trigger_activation.parameters import FrozenModel
from trigger_activation.science.evaluation.uncertainty import Scores, spread

DECIMALS = 6
"""Of percentages in cells, below what any count of images can resolve."""


class PairMean(FrozenModel):
    """A mean over (seed, victim, surrogate) triples (paper, Eq. 7), in percent."""

    mean: float
    scores: list[list[float]]
    """Seeds x blocks of images; see :data:`~trigger_activation.science.evaluation.uncertainty.Scores`."""

    @classmethod
    def of(cls, scores: Scores) -> PairMean:
        """To 1e-6 points."""
        rounded = scores.round(DECIMALS)
        return cls(mean=round(float(scores.mean()), DECIMALS), scores=rounded.tolist())

    @property
    def per_seed(self) -> list[float]:
        """The mean of each seed."""
        return [fmean(blocks) for blocks in self.scores]

    @property
    def standard_deviation(self) -> float | None:
        """Over seeds (n - 1); None for one seed."""
        return stdev(self.per_seed) if len(self.scores) > 1 else None

    def as_array(self) -> Scores:
        """The scores."""
        return np.asarray(self.scores, dtype=np.float64)


def mean_over(means: Sequence[PairMean]) -> PairMean:
    """The mean of several means over the same victims, as over a table's attacks, some of them on fewer images."""
    blocks = max(len(each.scores[0]) for each in means)
    return PairMean.of(np.mean([spread(each.as_array(), blocks) for each in means], axis=0))


class FirstOrder(FrozenModel):
    """Theorem 1 on one set of images; all but the first in nats."""

    sign_agreement: float
    """Share of the entries with sgn(g) = -sgn(tau): 1 by Eq. 8, 0.5 if g and tau had nothing to do with each other."""
    inner_product: float
    """<g, tau>: -log(C) by Eq. 9."""
    hoelder_bound: float
    """max|tau| * ||g||_1, at least |<g, tau>|; for a fixed trigger equal only if all signs agree or none does."""
    loss_without_trigger: float
    """Mean l(x): log(C) by the proof of Theorem 1."""
    loss_with_trigger: float
    """Mean l(x + tau): 0 by the proof of Theorem 1."""
    linearity_gap: float
    """Mean |l(x + tau) - l(x) - <grad l(x), tau>|: 0 if the loss were linear."""


class FlipPoint(FrozenModel):
    """Accuracy in percent and mean cross entropy at one fraction, one entry per mask."""

    fraction: float
    accuracy: list[float]
    loss: list[float]
