"""Which numbers of a row are marked, by what the data can tell apart."""

from __future__ import annotations

from collections.abc import Sequence

from trigger_activation.science.evaluation.contrast import difference
from trigger_activation.science.evaluation.results import PairMean

MARKS = (
    "Bold: the best of a row and all that lie inside the 95 % interval of their difference from it, over images and "
    "seeds; underlined: the highest of the rest."
)


def marked(row: Sequence[PairMean]) -> list[str]:
    """``best`` for the highest mean and for all that lie inside the interval of their difference from it, ``second``
    for the highest of the rest; equal means share it.

    Args:
        row: means of cells over the same test images, unrounded.
    """
    highest = max(row, key=lambda shown: shown.mean, default=None)
    best = [highest is not None and _as_good(highest, shown) for shown in row]
    second = max((shown.mean for shown, is_best in zip(row, best, strict=True) if not is_best), default=None)
    return [
        "best" if is_best else "second" if shown.mean == second else ""
        for shown, is_best in zip(row, best, strict=True)
    ]


def _as_good(highest: PairMean, other: PairMean) -> bool:
    """Whether a difference of zero lies inside the interval."""
    found = difference(highest, other)
    return found.mean <= found.margin
