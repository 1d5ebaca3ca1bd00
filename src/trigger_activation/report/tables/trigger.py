"""The magnitudes of triggers, paradigms by networks (paper, Table XI)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean, stdev
from typing import Any

from trigger_activation.plan.contents import MeasuredTrigger, TriggerStudy
from trigger_activation.plan.layouts import Facts, ShownProtocol, TriggerLayout
from trigger_activation.report.tables.facts import seeds_used
from trigger_activation.report.tables.grid import MISSING, Entry, Grid, Header, Row
from trigger_activation.report.wording import listed

SCALE = 100
"""The paper prints the mean square in units of 10^-2."""
NONE = Entry("–")
"""Where a data set has no such network."""


def build(layout: TriggerLayout, cells: Sequence[TriggerStudy | None]) -> Grid:
    """The grid of the trigger table.

    Args:
        layout: the plan's layout of the table.
        cells: slot by slot, one per column; None for one that is missing.
    """
    networks = {name: label for slot in layout.slots for name, label in slot.protocol.networks.items()}
    rows: list[Row] = []
    records: list[dict[str, Any]] = []
    remaining = iter(cells)
    for slot in layout.slots:
        measured = [next(remaining) for _ in slot.columns]
        rows += [
            _row(layout, slot.protocol, column.label, networks, cell)
            for column, cell in zip(slot.columns, measured, strict=True)
        ]
        records += [
            _record(slot.protocol.name, cell, trigger)
            for cell in measured
            if cell is not None
            for trigger in cell.triggers
        ]
    protocols = [slot.protocol for slot in layout.slots]
    return Grid(
        number=layout.number,
        title=layout.title,
        notes=[
            f"Mean of the squared entries, in units of 0.01, on {listed([p.dataset for p in protocols])}.",
            *(_counts(slot) for slot in layout.slots if any(column.seeds > 1 for column in slot.columns)),
        ],
        corner="Trigger",
        headers=[Header(label) for label in networks.values()],
        rows=_ruled(rows, [len(slot.columns) for slot in layout.slots]),
        records=records,
    )


def _counts(slot: ShownProtocol) -> str:
    return f"{slot.protocol.dataset}: {seeds_used({column.label: column.seeds for column in slot.columns})}"


def _row(layout: TriggerLayout, protocol: Facts, label: str, networks: Iterable[str], cell: TriggerStudy | None) -> Row:
    entries = [_entry(layout, cell, network) if network in protocol.networks else NONE for network in networks]
    return Row(f"{protocol.dataset}, {label}", entries)


def _entry(layout: TriggerLayout, cell: TriggerStudy | None, network: str) -> Entry:
    """The mean over seeds."""
    if cell is None:
        return Entry(MISSING)
    values = [SCALE * trigger.mean_square for trigger in cell.triggers if trigger.network == network]
    deviation = stdev(values) if len(values) > 1 else None
    return Entry(mean(values), layout.decimals, deviation, sources=(cell.path,))


def _ruled(rows: Sequence[Row], sizes: Sequence[int]) -> list[Row]:
    """A line above the first row of each data set but the first."""
    starts = {sum(sizes[:index]) for index in range(1, len(sizes))}
    return [Row(row.label, row.entries, index in starts) for index, row in enumerate(rows)]


def _record(protocol: str, cell: TriggerStudy, trigger: MeasuredTrigger) -> dict[str, Any]:
    return {
        "protocol": protocol,
        "paradigm": cell.paradigm,
        "network": trigger.network,
        "seed": trigger.seed,
        "mean_square": trigger.mean_square,
        "largest": trigger.largest,
    }
