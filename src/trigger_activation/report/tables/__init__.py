"""Tables: pure functions from a layout and cells to LaTeX, CSV and Markdown."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from types import NoneType

from trigger_activation.plan.contents import (
    Cell,
    Content,
    CostStudy,
    InformedStudy,
    Observed,
    TriggerStudy,
    WhiteBoxStudy,
)
from trigger_activation.plan.layouts import (
    AccuracyLayout,
    AnyTableLayout,
    CharacteristicsLayout,
    CostLayout,
    DifferenceLayout,
    SupplementaryLayout,
    TriggerLayout,
)
from trigger_activation.report.narrowing import narrowed
from trigger_activation.report.tables import accuracy, characteristics, cost, differences, supplementary, trigger
from trigger_activation.report.tables.grid import Entry, Grid, render_grid
from trigger_activation.science import sanity


def build(layout: AnyTableLayout, cells: Sequence[Content | None]) -> Grid:
    """A table before it is rendered.

    Args:
        layout: rows, columns and facts, as the plan resolved them.
        cells: the contents of the cells, in the plan's order; None for one that is missing, where the run allows that.
    """
    grid = _checked(_grid(layout, cells), layout, [cell for cell in cells if isinstance(cell, Observed)])
    missing = sum(cell is None for cell in cells)
    if not missing:
        return grid
    return replace(grid, notes=[*grid.notes, f"Incomplete: {missing} of {len(cells)} cells are missing."])


def _grid(layout: AnyTableLayout, cells: Sequence[Content | None]) -> Grid:
    match layout:
        case AccuracyLayout():
            return accuracy.build(layout, narrowed(cells, Cell, NoneType))
        case DifferenceLayout():
            return differences.build(layout, narrowed(cells, Cell, NoneType))
        case SupplementaryLayout():
            return supplementary.build(layout, narrowed(cells, Cell, WhiteBoxStudy, InformedStudy, NoneType))
        case TriggerLayout():
            return trigger.build(layout, narrowed(cells, TriggerStudy, NoneType))
        case CostLayout():
            return cost.build(layout, narrowed(cells, CostStudy, NoneType))
        case CharacteristicsLayout():
            return characteristics.build(layout, narrowed(cells, CostStudy, Cell, NoneType))


def _checked(grid: Grid, layout: AnyTableLayout, cells: Sequence[Observed]) -> Grid:
    """The table with a mark at each number whose cell fails a sanity check, and what that means."""
    if isinstance(layout, TriggerLayout | CostLayout):  # They show no accuracies, and several protocols.
        return grid
    sources = {path for row in grid.rows for entry in row.entries for path in entry.sources}
    shown = [cell for cell in cells if cell.path in sources]
    limits = layout.protocol.sanity
    told = sanity.explanation((cell.evidence for cell in shown), limits)
    if told is None:
        return grid
    failing = {cell.path for cell in shown if sanity.failures(cell.evidence, limits)}
    rows = [replace(row, entries=[_doubted(entry, failing) for entry in row.entries]) for row in grid.rows]
    return replace(grid, rows=rows, notes=[*grid.notes, told])


def _doubted(entry: Entry, failing: Set[str]) -> Entry:
    return replace(entry, failed=not failing.isdisjoint(entry.sources) and not isinstance(entry.value, str))


def render(layout: AnyTableLayout, cells: Sequence[Content | None]) -> dict[str, str]:
    """A table as text, by file suffix."""
    return render_grid(build(layout, cells))
