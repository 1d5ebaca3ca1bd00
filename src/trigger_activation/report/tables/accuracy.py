"""Tables of accuracies: attacks by defenses (paper, Tables I-IV and VII-X)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from trigger_activation.report.tables.facts import (
    changed_parameters,
    column_seeds,
    data_and_networks,
    seeds_used,
    substitutes,
    threat_model,
    trained_elsewhere,
)
from trigger_activation.report.tables.grid import MISSING, Cells, Entry, Grid, Header, Row
from trigger_activation.report.tables.marks import MARKS, marked
from trigger_activation.science.evaluation.contrast import mean_over
from trigger_activation.science.sanity import failures

CLEAN = "clean"
PAIRS = {
    "all": "all surrogate-victim pairs, the network attacked on itself among them",
    "off_diagonal": "all pairs of different surrogate and victim architectures",
}
SURROGATES = {"standard": "undefended surrogates", "same": "surrogates trained and deployed as the victim is"}


def build(layout: Mapping[str, Any], cells: Cells) -> Grid:
    """The grid of one accuracy table.

    Args:
        layout: the plan's layout of the table.
        cells: row by row, in the order of the layout.
    """
    columns, attacks = layout["columns"], layout["rows"]
    by_row = in_rows(cells, len(columns))
    rows = [
        value_row(attack["label"], [cell and statistics(layout, cell) for cell in row], layout["decimals"], row)
        for attack, row in zip(attacks, by_row, strict=True)
    ]
    if layout["mean_row"]:
        attacked = [r for attack, r in zip(attacks, by_row, strict=True) if attack["attack"] != CLEAN]
        rows.append(_mean_row(layout, attacked))
    return Grid(
        number=layout["number"],
        title=layout["title"],
        notes=_notes(layout, cells),
        corner="Attack",
        headers=[Header(column["label"], column["group"]) for column in columns],
        rows=rows,
        records=[
            _record(layout, cell, column)
            for row in by_row
            for cell, column in zip(row, columns, strict=True)
            if cell is not None
        ],
    )


def in_rows(cells: Cells, width: int) -> list[Cells]:
    """A flat sequence of cells, row by row."""
    return [cells[start : start + width] for start in range(0, len(cells), width)]


def statistics(layout: Mapping[str, Any], cell: dict[str, Any]) -> dict[str, Any]:
    """The mean that the table prints, with its spread; the clean row has no pairs to choose from."""
    pairs = "all" if cell["attack"] == CLEAN else layout["pairs"]
    chosen: dict[str, Any] = cell["means"][pairs]
    return chosen


def value_row(label: str, shown: Sequence[Mapping[str, Any] | None], decimals: int, cells: Cells) -> Row:
    """Means with their deviation over seeds, the best marked; a dash where a cell has none.

    Args:
        label: of the row.
        shown: the means.
        decimals: of the printed numbers.
        cells: what each mean is read from.
    """
    marks = iter(marked([s for s in shown if s is not None]))
    entries = []
    for s, cell in zip(shown, cells, strict=True):
        if cell is None:
            entries.append(Entry(MISSING))
        elif s is None:
            entries.append(Entry("–", source=cell.get("path")))
        else:
            entries.append(Entry(s["mean"], decimals, s["standard_deviation"], next(marks), cell.get("path")))
    return Row(label, entries)


def _mean_row(layout: Mapping[str, Any], rows: Sequence[Cells]) -> Row:
    """The mean over attacks of the unrounded cells; missing where one of them is."""
    columns = [[cell and statistics(layout, cell) for cell in column] for column in zip(*rows, strict=True)]
    means = [None if None in column else mean_over(column) for column in columns]
    marks = iter(marked([shown for shown in means if shown is not None]))
    entries = [
        Entry(MISSING) if shown is None else Entry(shown["mean"], layout["decimals"], None, next(marks))
        for shown in means
    ]
    return Row("Mean", entries, ruled=True, summary=True)


def interval(bootstrap: Sequence[float]) -> tuple[float, float]:
    """The 95 % percentile interval of bootstrap means."""
    low, high = np.percentile(bootstrap, [2.5, 97.5])
    return float(low), float(high)


def largest_error(shown: Iterable[Mapping[str, Any]]) -> str:
    """``±1.2 points``: half the widest interval."""
    halves = [(high - low) / 2 for low, high in (interval(s["bootstrap"]) for s in shown)]
    return f"±{max(halves):.1f} points"


def _notes(layout: Mapping[str, Any], cells: Cells) -> list[str]:
    error = largest_error(statistics(layout, cell) for cell in cells if cell is not None)
    return [
        data_and_networks(layout["protocol"]),
        threat_model(layout["protocol"], layout["protocol"]["images"]),
        *changed_parameters(layout["changes"]),
        *substitutes(layout["substitutes"]),
        *trained_elsewhere(layout["columns"]),
        f"Accuracy in percent, the mean over {PAIRS[layout['pairs']]}; {SURROGATES[layout['surrogates']]}.",
        seeds_used(column_seeds(layout["columns"])),
        f"Resampling the images moves a cell by up to {error} (95 %).",
        MARKS,
    ]


def estimate(shown: Mapping[str, Any]) -> dict[str, Any]:
    """A mean with its uncertainty, for the CSV file."""
    low, high = interval(shown["bootstrap"])
    return {
        "accuracy": shown["mean"],
        "standard_deviation": shown["standard_deviation"],
        "interval_low": round(low, 6),
        "interval_high": round(high, 6),
    }


def _record(layout: Mapping[str, Any], cell: dict[str, Any], column: Mapping[str, Any]) -> dict[str, Any]:
    off_diagonal = cell["means"].get("off_diagonal")
    return {
        "attack": cell["attack"],
        "column": column["name"],
        **estimate(statistics(layout, cell)),
        "mean_all": cell["means"]["all"]["mean"],
        "mean_off_diagonal": off_diagonal["mean"] if off_diagonal else None,
        "seeds": len(cell["seeds"]),
        "images": cell["images"],
        "failed_checks": " ".join(failures(cell, layout["protocol"]["sanity"])),
    }
