"""Which numbers of a row are marked, by what the data can tell apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import takewhile

from trigger_activation.science.evaluation.contrast import difference
from trigger_activation.science.evaluation.results import PairMean

MARKS = (
    "Bold: the best of a row and those below it, down to the first that lies outside the 95 % interval of the "
    "difference, over images and seeds, as no single seed does; underlined: the next. Where bold would be three "
    "quarters of a row, nothing is."
)


def marked(row: Sequence[PairMean]) -> list[str]:
    """``best`` for the highest mean and for those below it that the data cannot tell from it, ``second`` for the next;
    equal means share a mark, and no number has a mark that a higher one lacks.

    Args:
        row: means of cells over the same test images, unrounded.
    """
    ranked = sorted(row, key=lambda shown: -shown.mean)
    best = list(takewhile(lambda shown: difference(ranked[0], shown).sign == 0, ranked))
    if len(row) > 1 and 4 * len(best) >= 3 * len(row):
        return [""] * len(row)
    lowest = best[-1].mean if best else math.inf
    second = ranked[len(best)].mean if len(best) < len(ranked) else None
    return ["best" if each.mean >= lowest else "second" if each.mean == second else "" for each in row]
