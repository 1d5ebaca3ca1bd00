"""Tables: pure functions from a layout and cells to LaTeX, CSV and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from trigger_activation.report.tables import accuracy, characteristics, cost, supplementary, trigger
from trigger_activation.report.tables.grid import Cells, Entry, Grid, render_grid
from trigger_activation.science import sanity

KINDS: Mapping[str, Callable[[Mapping[str, Any], Cells], Grid]] = {
    "accuracy": accuracy.build,
    "supplementary": supplementary.build,
    "trigger": trigger.build,
    "cost": cost.build,
    "characteristics": characteristics.build,
}


def build(layout: Mapping[str, Any], cells: Cells) -> Grid:
    """A table before it is rendered.

    Args:
        layout: rows, columns and facts, as the plan resolved them.
        cells: the contents of the cells, in the plan's order.
    """
    grid = _checked(KINDS[layout["kind"]](layout, cells), layout, [cell for cell in cells if cell is not None])
    missing = sum(cell is None for cell in cells)
    if not missing:
        return grid
    return replace(grid, notes=[*grid.notes, f"Incomplete: {missing} of {len(cells)} cells are missing."])


def _checked(grid: Grid, layout: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> Grid:
    """The table with a mark at each number whose cell fails a sanity check, and what that means."""
    sources = {entry.source for row in grid.rows for entry in row.entries} - {None}
    shown = [cell for cell in cells if cell.get("path") in sources]
    limits = layout["protocol"]["sanity"] if "protocol" in layout else {}
    told = sanity.explanation(shown, limits)
    if told is None:
        return grid
    failing = {cell["path"] for cell in shown if sanity.failures(cell, limits)}
    rows = [replace(row, entries=[_doubted(entry, failing) for entry in row.entries]) for row in grid.rows]
    return replace(grid, rows=rows, notes=[*grid.notes, told])


def _doubted(entry: Entry, failing: Collection[str | None]) -> Entry:
    return replace(entry, failed=entry.source in failing and not isinstance(entry.value, str))


def render(layout: Mapping[str, Any], cells: Cells) -> dict[str, str]:
    """A table as text, by file suffix."""
    return render_grid(build(layout, cells))
