"""Differences between defenses, each with its interval: what the columns of an accuracy table leave to the reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from trigger_activation.plan.contents import Cell
from trigger_activation.plan.layouts import DifferenceLayout
from trigger_activation.report.tables.accuracy import PAIRS, SURROGATES, in_rows, statistics
from trigger_activation.report.tables.facts import (
    changed_parameters,
    column_seeds,
    data_and_networks,
    fewer_images,
    seeds_used,
    substitutes,
    threat_model,
    titled,
    trained_elsewhere,
)
from trigger_activation.report.tables.grid import MISSING, Entry, Grid, Header, Row
from trigger_activation.report.tables.intervals import interval
from trigger_activation.science.evaluation.contrast import difference
from trigger_activation.science.evaluation.uncertainty import Estimate
from trigger_activation.science.sanity import failures

SPREAD = (
    "± is half of the 95 % interval of the difference over images and seeds, seed by seed where both sides have as many"
)
UNKNOWN = "Without ±: one side has a single seed, so how far other networks would move the difference is unknown."
MARKS = "Bold: zero lies outside the interval. Each interval is of one difference, not of all at once."


@dataclass(frozen=True)
class Difference:
    """One defense minus another under one attack."""

    left: Cell
    right: Cell
    points: Estimate


def build(layout: DifferenceLayout, cells: Sequence[Cell | None]) -> Grid:
    """The grid of one table of differences: each column minus each before it.

    Args:
        layout: the plan's layout of the table.
        cells: attack by attack, in the order of the layout; None for one that is missing.
    """
    pairs = [(left, right) for right, left in combinations(range(len(layout.columns)), 2)]
    by_attack = in_rows(cells, len(layout.columns))
    rows = [[_difference(layout, row[left], row[right]) for row in by_attack] for left, right in pairs]
    names = [column.full for column in layout.columns]
    return Grid(
        number=layout.number,
        title=titled(layout.title, layout.protocol),
        notes=_notes(layout, [shown for row in rows for shown in row if shown]),
        corner="Difference",
        headers=[Header(attack.label) for attack in layout.rows],
        rows=[
            Row(f"{names[left]} − {names[right]}", [_entry(shown, layout.decimals) for shown in row])
            for (left, right), row in zip(pairs, rows, strict=True)
        ],
        records=[
            {"column": layout.columns[left].name, "minus": layout.columns[right].name, **_record(layout, shown)}
            for (left, right), row in zip(pairs, rows, strict=True)
            for shown in row
            if shown
        ],
    )


def _difference(layout: DifferenceLayout, left: Cell | None, right: Cell | None) -> Difference | None:
    """Of two cells, if both are there."""
    if left is None or right is None:
        return None
    return Difference(left, right, difference(statistics(layout, left), statistics(layout, right)))


def _entry(shown: Difference | None, decimals: int) -> Entry:
    if shown is None:
        return Entry(MISSING)
    points = shown.points
    return Entry(
        points.mean,
        decimals,
        points.margin() if points.known else None,
        "decided" if points.sign else "",
        (shown.left.path, shown.right.path),
        signed=True,
    )


def _notes(layout: DifferenceLayout, shown: Sequence[Difference]) -> list[str]:
    alone = any(not one.points.known for one in shown)
    return [
        f"Points of accuracy, the first defense minus the second, in the mean over {PAIRS[layout.pairs]}; "
        f"{SURROGATES[layout.surrogates]}.",
        data_and_networks(layout.protocol),
        threat_model(layout.protocol, layout.protocol.images),
        *fewer_images(layout.protocol, layout.rows),
        *changed_parameters(layout.changes),
        *substitutes(layout.substitutes),
        *trained_elsewhere(layout.columns),
        seeds_used(column_seeds(layout.columns), SPREAD),
        *([UNKNOWN] if alone else []),
        MARKS,
    ]


def _record(layout: DifferenceLayout, shown: Difference) -> dict[str, Any]:
    failed = {check for cell in (shown.left, shown.right) for check in failures(cell.evidence, layout.protocol.sanity)}
    return {
        "attack": shown.left.attack,
        "difference": round(shown.points.mean, 6),
        **interval(shown.points),
        "seeds": len(shown.left.seeds),
        "seeds_of_minus": len(shown.right.seeds),
        "images": shown.left.images,
        "failed_checks": " ".join(sorted(failed)),
    }
