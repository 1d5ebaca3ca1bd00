"""Tables: pure functions from a layout and cells to LaTeX, CSV and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trigger_activation.tables import accuracy, characteristics, cost, supplementary, trigger
from trigger_activation.tables.grid import Grid, render_grid

KINDS: Mapping[str, Callable[[Mapping[str, Any], Sequence[dict[str, Any]]], Grid]] = {
    "accuracy": accuracy.build,
    "supplementary": supplementary.build,
    "trigger": trigger.build,
    "cost": cost.build,
    "characteristics": characteristics.build,
}


def render(layout: Mapping[str, Any], cells: Sequence[dict[str, Any]]) -> dict[str, str]:
    """A table as text, by file suffix.

    Args:
        layout: rows, columns and facts, as the plan resolved them.
        cells: the contents of the cells, in the plan's order.
    """
    return render_grid(KINDS[layout["kind"]](layout, cells))
