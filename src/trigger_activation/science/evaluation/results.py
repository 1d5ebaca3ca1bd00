"""What evaluations find, as frozen models that cells and studies hold; they load without torch."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from trigger_activation.lazy import numpy as np
from trigger_activation.parameters import FrozenModel

DECIMALS = 6
"""Of percentages in cells, below what any count of images can resolve."""


class PairMean(FrozenModel):
    """A mean over (seed, victim, surrogate) triples, in percent."""

    mean: float
    per_seed: list[float]
    standard_deviation: float | None
    """Over victim seeds (n - 1); None for one seed."""
    bootstrap: list[float]
    """Means over resampled images."""

    def rounded(self) -> PairMean:
        """The same to 1e-6 points."""
        return PairMean(**{name: _shortened(value) for name, value in self})


def _shortened(value: Any) -> Any:
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    return value if value is None else round(value, DECIMALS)


def mean_over(means: Sequence[PairMean]) -> PairMean:
    """The mean of several means over the same victims and test images, as over a table's attacks."""
    per_seed = np.mean([each.per_seed for each in means], axis=0)
    return PairMean(
        mean=fmean(each.mean for each in means),
        per_seed=per_seed.tolist(),
        standard_deviation=float(per_seed.std(ddof=1)) if len(per_seed) > 1 else None,
        bootstrap=np.mean([each.bootstrap for each in means], axis=0).tolist(),
    )


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
