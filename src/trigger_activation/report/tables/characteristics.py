"""Verdicts on defenses, derived from measured cells (paper, Table VI)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from trigger_activation.report.tables.facts import data_and_networks, threat_model
from trigger_activation.report.tables.grid import MISSING, Cells, Entry, Grid, Header, Row
from trigger_activation.report.wording import listed

YES_OR_NO = [0.5]
"""The limit of what a defense has or has not."""


def build(layout: Mapping[str, Any], cells: Cells) -> Grid:
    """The grid of verdicts, each with the published one beside it.

    Args:
        layout: the plan's layout of the table.
        cells: costs, clean accuracies, then accuracies attack by attack; of the first two the undefended one first.
    """
    columns = layout["columns"]
    measured = [_measured(column, _of_column(cells, len(columns), i)) for i, column in enumerate(columns)]
    return Grid(
        number=layout["number"],
        title=layout["title"],
        notes=[
            data_and_networks(layout["protocol"]),
            threat_model(layout["protocol"], layout["protocol"]["images"]),
            "In parentheses the paper's verdict, on its own data.",
            *(_limits(characteristic) for characteristic in layout["characteristics"] if characteristic["limits"]),
            f"Accuracy on TAEs is the mean over {listed([row['label'] for row in layout['rows']])}.",
        ],
        corner="Characteristic",
        headers=[Header(column["label"]) for column in columns],
        rows=[_row(characteristic, measured) for characteristic in layout["characteristics"]],
        records=[
            _record(characteristic, column, numbers, published)
            for characteristic in layout["characteristics"]
            for column, numbers, published in zip(columns, measured, characteristic["published"], strict=True)
            if numbers is not None
        ],
    )


def _of_column(cells: Cells, width: int, position: int) -> tuple[Cells, Cells, Cells]:
    """Costs and clean cells of the undefended network and of one defense, and the defense's cells under attack."""
    costs, clean, attacked = cells[: width + 1], cells[width + 1 : 2 * width + 2], cells[2 * width + 2 :]
    return [costs[0], costs[position + 1]], [clean[0], clean[position + 1]], attacked[position::width]


def _measured(column: Mapping[str, Any], parts: Sequence[Cells]) -> dict[str, float] | None:
    """What the verdicts on a column follow from; None if a cell is missing."""
    known = [[cell for cell in part if cell is not None] for part in parts]
    return _measures(column, *known) if sum(map(len, known)) == sum(map(len, parts)) else None


def _measures(
    column: Mapping[str, Any],
    costs: Sequence[dict[str, Any]],
    clean: Sequence[dict[str, Any]],
    attacked: Sequence[dict[str, Any]],
) -> dict[str, float]:
    undefended, defended = (cell["means"]["all"]["mean"] for cell in clean)
    milliseconds = [cost["timings"][-1]["milliseconds"] for cost in costs]
    return {
        "preprocessing": float(column["preprocessing"] is not None),
        "trained": float(column["preprocessing"] is None),
        "helper": float(costs[1]["helper_parameters"] > 0),
        "training_time": costs[1]["training"]["seconds"] / costs[0]["training"]["seconds"],
        "test_time": milliseconds[1] / milliseconds[0],
        "clean_drop": undefended - defended,
        "accuracy_on_taes": mean(cell["means"]["all"]["mean"] for cell in attacked) / undefended,
    }


def verdict(characteristic: Mapping[str, Any], numbers: Mapping[str, float]) -> str:
    """The verdict whose limits enclose the measured number."""
    limits = characteristic["limits"] or YES_OR_NO
    chosen: str = characteristic["verdicts"][bisect_left(limits, numbers[characteristic["measure"]])]
    return chosen


def _row(characteristic: Mapping[str, Any], measured: Sequence[Mapping[str, float] | None]) -> Row:
    verdicts = [
        f"{verdict(characteristic, numbers) if numbers else MISSING} ({published})"
        for numbers, published in zip(measured, characteristic["published"], strict=True)
    ]
    return Row(characteristic["label"], [Entry(text) for text in verdicts])


MEASURES = {
    "training_time": "training time over that of the undefended network",
    "test_time": "test time over that of the undefended network",
    "clean_drop": "points of clean accuracy lost",
    "accuracy_on_taes": "accuracy on TAEs over the clean accuracy of undefended networks",
}


def _limits(characteristic: Mapping[str, Any]) -> str:
    bounds = [f"up to {limit:g}" for limit in characteristic["limits"]]
    ranges = [f"{name} {bound}" for name, bound in zip(characteristic["verdicts"], [*bounds, "above"], strict=True)]
    return f"{characteristic['label']}, {MEASURES[characteristic['measure']]}: {listed(ranges)}."


def _record(
    characteristic: Mapping[str, Any], column: Mapping[str, Any], numbers: Mapping[str, float], published: str
) -> dict[str, Any]:
    return {
        "characteristic": characteristic["label"],
        "column": column["name"],
        "measured": round(numbers[characteristic["measure"]], 6),
        "verdict": verdict(characteristic, numbers),
        "published": published,
    }
