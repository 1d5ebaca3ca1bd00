"""Tables: pure functions from a layout and cells to LaTeX, CSV and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from trigger_activation.tables import accuracy, characteristics, cost, supplementary, trigger
from trigger_activation.tables.grid import Cells, Grid, render_grid

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
    grid = KINDS[layout["kind"]](layout, cells)
    missing = sum(cell is None for cell in cells)
    if not missing:
        return grid
    return replace(grid, notes=[*grid.notes, f"Incomplete: {missing} of {len(cells)} cells are missing."])


def render(layout: Mapping[str, Any], cells: Cells) -> dict[str, str]:
    """A table as text, by file suffix."""
    return render_grid(build(layout, cells))
