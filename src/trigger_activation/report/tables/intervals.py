"""How far the numbers of a table can be trusted, for its CSV file and its notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trigger_activation.science.evaluation.contrast import estimated, over_images
from trigger_activation.science.evaluation.results import PairMean
from trigger_activation.science.evaluation.uncertainty import Estimate

RowMeans = Sequence[PairMean | None]
"""Means of one row; None where a cell is missing or has no pairs of the row's kind."""


def in_csv(found: PairMean) -> dict[str, Any]:
    """A mean with its uncertainty; no interval for a single seed, of whose spread nothing is known."""
    return {
        "accuracy": found.mean,
        "standard_deviation": None if found.standard_deviation is None else round(found.standard_deviation, 6),
        **interval(estimated(found)),
    }


def interval(found: Estimate) -> dict[str, float | None]:
    """The ends of a 95 % interval; None if nothing is known of the variance."""
    low, high = (round(found.mean + side * found.margin(), 6) if found.known else None for side in (-1, 1))
    return {"interval_low": low, "interval_high": high}


def widest(rows: Sequence[RowMeans]) -> str:
    """Sentences about the widest intervals of some rows."""
    shown = [found for row in rows for found in row if found is not None]
    several = [estimated(found).margin() for found in shown if len(found.scores) > 1]
    alone = [over_images(found).margin() for found in shown if len(found.scores) == 1]
    told = []
    if several:
        told.append(f"95 % intervals over seeds and images reach up to ±{max(several):.1f} points.")
    if alone:
        told.append(
            "How far other networks would move a cell of one seed is unknown; other images move it by up to "
            f"±{max(alone):.1f} points (95 %)."
        )
    return " ".join(told)
