"""The magnitudes of triggers, networks by paradigms (paper, Table XI)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from trigger_activation.plan.contents import MeasuredTrigger, TriggerStudy
from trigger_activation.plan.layouts import Facts, ShownProtocol, TriggerLayout
from trigger_activation.report.tables.facts import seeds_used
from trigger_activation.report.tables.grid import MISSING, Entry, Grid, Header, Row
from trigger_activation.report.wording import listed

SCALE = 100
"""The paper prints the mean square in units of 10^-2."""


def build(layout: TriggerLayout, cells: Sequence[TriggerStudy | None]) -> Grid:
    """The grid of the trigger table.

    Args:
        layout: the plan's layout of the table.
        cells: slot by slot, one per column; None for one that is missing.
    """
    rows: list[Row] = []
    records: list[dict[str, Any]] = []
    remaining = iter(cells)
    for slot in layout.slots:
        measured = [next(remaining) for _ in slot.columns]
        rows += [_row(layout, slot.protocol, network, measured) for network in slot.protocol.networks]
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
        corner="Network",
        headers=_headers(layout.slots),
        rows=_ruled(rows, [len(p.networks) for p in protocols]),
        records=records,
    )


def _headers(slots: Sequence[ShownProtocol]) -> list[Header]:
    """Column labels; where slots use different variants, all of them."""
    by_position = zip(*(slot.columns for slot in slots), strict=True)
    return [Header(" / ".join(dict.fromkeys(column.label for column in columns))) for columns in by_position]


def _counts(slot: ShownProtocol) -> str:
    return f"{slot.protocol.dataset}: {seeds_used({column.label: column.seeds for column in slot.columns})}"


def _row(layout: TriggerLayout, protocol: Facts, network: str, cells: Sequence[TriggerStudy | None]) -> Row:
    entries = []
    for cell in cells:
        if cell is None:
            entries.append(Entry(MISSING))
            continue
        values = [SCALE * trigger.mean_square for trigger in cell.triggers if trigger.network == network]
        deviation = stdev(values) if len(values) > 1 else None
        entries.append(Entry(mean(values), layout.decimals, deviation, source=cell.path))
    return Row(f"{protocol.dataset}, {protocol.networks[network]}", entries)


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
