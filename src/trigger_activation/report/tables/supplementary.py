"""What the paper leaves out: white-box attacks, pairs of different architectures, a control without a trigger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trigger_activation.report.tables.accuracy import SURROGATES, estimate, in_rows, largest_error, value_row
from trigger_activation.report.tables.facts import (
    changed_parameters,
    column_seeds,
    data_and_networks,
    seeds_used,
    threat_model,
    white_box_attacks,
)
from trigger_activation.report.tables.grid import Cells, Grid, Header
from trigger_activation.report.tables.marks import MARKS
from trigger_activation.report.wording import listed
from trigger_activation.science.sanity import failures

Statistics = Mapping[str, Any] | None
"""Of a mean and its spread; None where a cell has no pairs of the row's kind."""


def build(layout: Mapping[str, Any], cells: Cells) -> Grid:
    """The grid of the supplementary table.

    Args:
        layout: the plan's layout of the table.
        cells: row by row, in the order of the layout; white-box rows have measurements.
    """
    rows, columns = layout["rows"], layout["columns"]
    by_row = in_rows(cells, len(columns))
    shown = [[cell and _statistics(row, cell) for cell in group] for row, group in zip(rows, by_row, strict=True)]
    return Grid(
        number=layout["number"],
        title=layout["title"],
        notes=_notes(layout, shown, by_row),
        corner="Attack",
        headers=[Header(column["label"], column["group"]) for column in columns],
        rows=[
            value_row(row["label"], s, layout["decimals"], group)
            for row, s, group in zip(rows, shown, by_row, strict=True)
        ],
        records=[
            _record(row, column, cell, statistics, layout["protocol"]["sanity"])
            for row, group, spread in zip(rows, by_row, shown, strict=True)
            for column, cell, statistics in zip(columns, group, spread, strict=True)
            if cell is not None and statistics is not None
        ],
    )


def _statistics(row: Mapping[str, Any], cell: Mapping[str, Any]) -> Statistics:
    """The mean over the row's pairs; measurements name theirs by attack."""
    chosen: Statistics = cell["means"].get(row["pairs"] or row["attack"])
    return chosen


def _notes(layout: Mapping[str, Any], shown: Sequence[Sequence[Statistics]], cells: Sequence[Cells]) -> list[str]:
    single = any(
        statistics is None and cell is not None
        for group, measured in zip(shown, cells, strict=True)
        for statistics, cell in zip(group, measured, strict=True)
    )
    surrogates = dict.fromkeys(row["surrogates"] for row in layout["rows"] if row["surrogates"] in SURROGATES)
    transfer = f"; transfer attacks use {listed([SURROGATES[name] for name in surrogates])}" if surrogates else ""
    return [
        data_and_networks(layout["protocol"]),
        threat_model(layout["protocol"], layout["protocol"]["images"]),
        *changed_parameters(layout["changes"]),
        f"Accuracy in percent{transfer}.",
        *([white_box_attacks(layout["white_box"])] if layout["white_box"] else []),
        seeds_used(column_seeds(layout["columns"])),
        *(["A dash: victims of one seed have no pair with a surrogate of another."] if single else []),
        f"Resampling the images moves {_errors(layout['rows'], shown)} (95 %).",
        *layout["notes"],
        MARKS,
    ]


def _errors(rows: Sequence[Mapping[str, Any]], shown: Sequence[Sequence[Statistics]]) -> str:
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for row, statistics in zip(rows, shown, strict=True):
        kind = "a white-box cell" if row["surrogates"] == "victim" else "a cell"
        by_kind.setdefault(kind, []).extend(s for s in statistics if s is not None)
    return listed([f"{kind} by up to {largest_error(group)}" for kind, group in by_kind.items()])


def _record(
    row: Mapping[str, Any],
    column: Mapping[str, Any],
    cell: Mapping[str, Any],
    statistics: Mapping[str, Any],
    limits: Mapping[str, float],
) -> dict[str, Any]:
    return {
        "attack": row["attack"],
        "surrogates": row["surrogates"],
        "pairs": row["pairs"],
        "column": column["name"],
        **estimate(statistics),
        "seeds": len(statistics["per_seed"]),
        "images": cell["images"],
        "failed_checks": " ".join(failures(cell, limits)),
    }
