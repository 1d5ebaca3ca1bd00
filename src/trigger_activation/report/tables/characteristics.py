"""Verdicts on defenses, derived from measured cells (paper, Table VI)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from types import NoneType
from typing import Any, TypeVar

from trigger_activation.plan.config.tables import Characteristic
from trigger_activation.plan.contents import Cell, CostStudy
from trigger_activation.plan.layouts import CharacteristicsLayout, ShownColumn
from trigger_activation.report.narrowing import narrowed
from trigger_activation.report.tables.facts import data_and_networks, threat_model, titled
from trigger_activation.report.tables.grid import MISSING, Entry, Grid, Header, Row
from trigger_activation.report.wording import listed

C = TypeVar("C")
Numbers = Mapping[str, float]
"""What the verdicts on a column follow from, by measure."""
YES_OR_NO = [0.5]
"""The limit of what a defense has or has not."""


@dataclass(frozen=True)
class Measured:
    """What was measured of one defense; of costs and clean accuracies that of the undefended network first."""

    costs: Sequence[CostStudy]
    clean: Sequence[Cell]
    attacked: Sequence[Cell]


def build(layout: CharacteristicsLayout, cells: Sequence[CostStudy | Cell | None]) -> Grid:
    """The grid of verdicts, each with the published one beside it.

    Args:
        layout: the plan's layout of the table.
        cells: costs, clean accuracies, then accuracies attack by attack; of the first two the undefended one first;
            None for what is missing.
    """
    columns, characteristics = layout.columns, layout.characteristics
    measured = [_numbers(column, _of_column(cells, len(columns), i)) for i, column in enumerate(columns)]
    return Grid(
        number=layout.number,
        title=titled(layout.title, layout.protocol),
        notes=[
            "In parentheses the paper's verdict, on its own data.",
            data_and_networks(layout.protocol),
            threat_model(layout.protocol, layout.protocol.images),
            *(_limits(characteristic) for characteristic in characteristics if characteristic.limits),
            f"Accuracy on TAEs is the mean over {listed([row.label for row in layout.rows])}.",
        ],
        corner="Characteristic",
        headers=[Header(column.label) for column in columns],
        rows=[_row(characteristic, measured) for characteristic in characteristics],
        records=[
            _record(characteristic, column, numbers, published)
            for characteristic in characteristics
            for column, numbers, published in zip(columns, measured, characteristic.published, strict=True)
            if numbers is not None
        ],
    )


def _of_column(cells: Sequence[CostStudy | Cell | None], width: int, position: int) -> Measured | None:
    """What was measured of the defense at a position; None if something is missing."""
    costs: list[CostStudy | None] = narrowed(cells[: width + 1], CostStudy, NoneType)
    accuracies: list[Cell | None] = narrowed(cells[width + 1 :], Cell, NoneType)
    clean, attacked = accuracies[: width + 1], accuracies[width + 1 :]
    its_costs = _complete((costs[0], costs[position + 1]))
    its_clean = _complete((clean[0], clean[position + 1]))
    its_attacked = _complete(attacked[position::width])
    if its_costs is None or its_clean is None or its_attacked is None:
        return None
    return Measured(its_costs, its_clean, its_attacked)


def _complete(cells: Iterable[C | None]) -> list[C] | None:
    known: list[C] = []
    for cell in cells:
        if cell is None:
            return None
        known.append(cell)
    return known


def _numbers(column: ShownColumn, measured: Measured | None) -> Numbers | None:
    if measured is None:
        return None
    undefended, defended = (cell.means["all"].mean for cell in measured.clean)
    before, after = measured.costs
    return {
        "preprocessing": float(column.preprocessing is not None),
        "trained": float(column.preprocessing is None),
        "helper": float(after.helper_parameters > 0),
        "training_time": after.training.seconds / before.training.seconds,
        "test_time": after.timings[-1].milliseconds / before.timings[-1].milliseconds,
        "clean_drop": undefended - defended,
        "accuracy_on_taes": mean(cell.means["all"].mean for cell in measured.attacked) / undefended,
    }


def verdict(characteristic: Characteristic, numbers: Numbers) -> str:
    """The verdict whose limits enclose the measured number."""
    limits = characteristic.limits or YES_OR_NO
    return characteristic.verdicts[bisect_left(limits, numbers[characteristic.measure])]


def _row(characteristic: Characteristic, measured: Sequence[Numbers | None]) -> Row:
    verdicts = [
        f"{verdict(characteristic, numbers) if numbers else MISSING} ({published})"
        for numbers, published in zip(measured, characteristic.published, strict=True)
    ]
    return Row(characteristic.label, [Entry(text) for text in verdicts])


MEASURES = {
    "training_time": "training time over that of the undefended network",
    "test_time": "test time over that of the undefended network",
    "clean_drop": "points of clean accuracy lost",
    "accuracy_on_taes": "accuracy on TAEs over the clean accuracy of undefended networks",
}


def _limits(characteristic: Characteristic) -> str:
    bounds = [f"up to {limit:g}" for limit in characteristic.limits]
    ranges = [f"{name} {bound}" for name, bound in zip(characteristic.verdicts, [*bounds, "above"], strict=True)]
    return f"{characteristic.label}, {MEASURES[characteristic.measure]}: {listed(ranges)}."


def _record(characteristic: Characteristic, column: ShownColumn, numbers: Numbers, published: str) -> dict[str, Any]:
    return {
        "characteristic": characteristic.label,
        "column": column.name,
        "measured": round(numbers[characteristic.measure], 6),
        "verdict": verdict(characteristic, numbers),
        "published": published,
    }
