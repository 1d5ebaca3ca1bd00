"""How far the numbers of a table can be trusted, for its marks, its CSV file and its notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trigger_activation.science.evaluation.contrast import borrowed, estimated, over_images
from trigger_activation.science.evaluation.results import PairMean
from trigger_activation.science.evaluation.uncertainty import Variance

RowMeans = Sequence[PairMean | None]
"""Means of one row; None where a cell is missing or has no pairs of the row's kind."""

ONE_SEED = "; columns of one seed borrow the spread of the others in their row"


def seed_variance(row: RowMeans) -> Variance:
    """What columns of one seed borrow: the variance over seeds in the row's other columns."""
    return borrowed([found] for found in row if found is not None)


def in_csv(found: PairMean, variance: Variance) -> dict[str, Any]:
    """A mean with its uncertainty; no interval where nothing is known of the spread over seeds."""
    estimate = estimated(found, variance)
    low, high = (round(estimate.mean + side * estimate.margin(), 6) for side in (-1, 1))
    return {
        "accuracy": found.mean,
        "standard_deviation": None if found.standard_deviation is None else round(found.standard_deviation, 6),
        "interval_low": low if estimate.known else None,
        "interval_high": high if estimate.known else None,
    }


def widest(rows: Sequence[RowMeans]) -> str:
    """A sentence about the widest intervals of some rows."""
    known = [(found, seed_variance(row)) for row in rows for found in row if found is not None]
    estimates = [estimated(found, variance) for found, variance in known]
    if not all(estimate.known for estimate in estimates):
        images = max(over_images(found).margin() for found, _ in known)
        return (
            f"With one seed it is unknown how far other networks would move a cell; other images move it by up to "
            f"±{images:.1f} points (95 %)."
        )
    several = "" if all(len(found.scores) > 1 for found, _ in known) else ONE_SEED
    margin = max(estimate.margin() for estimate in estimates)
    return f"95 % intervals over seeds and images reach up to ±{margin:.1f} points{several}."
