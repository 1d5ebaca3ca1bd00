"""What defenses cost: training hours and milliseconds for a batch (paper, Table V)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trigger_activation.plan.contents import CostStudy
from trigger_activation.plan.layouts import CostLayout, Facts, ShownProtocol
from trigger_activation.report.tables.accuracy import in_rows
from trigger_activation.report.tables.grid import MISSING, Entry, Grid, Header, Row, significant
from trigger_activation.report.wording import listed

CLOCKS = {
    "wall": "Training hours are wall time",
    "cpu": "Training hours are CPU time over the threads, since other trainings ran beside",
}
"""How training was timed."""


def build(layout: CostLayout, cells: Sequence[CostStudy | None]) -> Grid:
    """The grid of the cost table: a row for each defense, a group of columns for each data set.

    Args:
        layout: the plan's layout of the table.
        cells: slot by slot, one per defense; None for one that is missing.
    """
    by_slot = in_rows(cells, len(layout.slots[0].columns))
    measured = [[cell for cell in costs if cell is not None] for costs in by_slot]
    widths = [1 + max((len(cell.timings) for cell in costs), default=0) for costs in measured]
    rows = [
        Row(
            _label(layout.slots, position),
            [entry for cell, width in zip(row, widths, strict=True) for entry in _entries(cell, width)],
        )
        for position, row in enumerate(zip(*by_slot, strict=True))
    ]
    return Grid(
        number=layout.number,
        title=layout.title,
        notes=_notes(layout, measured),
        corner="Defense",
        headers=[
            header for slot, costs in zip(layout.slots, measured, strict=True) for header in _headers(slot, costs)
        ],
        rows=rows,
        records=[
            record
            for slot, costs in zip(layout.slots, measured, strict=True)
            for cell in costs
            for record in _records(slot.protocol.name, cell)
        ],
    )


def _notes(layout: CostLayout, measured: Sequence[Sequence[CostStudy]]) -> list[str]:
    clocks = dict.fromkeys(CLOCKS[cell.training.clock] for costs in measured for cell in costs[:1])
    return [
        *(_measured(slot.protocol, costs) for slot, costs in zip(layout.slots, measured, strict=True) if costs),
        f"{listed(list(clocks))}; the training of networks that purifiers consult is not among them. Test times are of "
        "a machine that did nothing else, preprocessing included, loading of data not.",
    ]


def _headers(slot: ShownProtocol, costs: Sequence[CostStudy]) -> list[Header]:
    """Of the columns of one data set."""
    batches = [f"batch of {timing.batch_size} (ms)" for cell in costs[:1] for timing in cell.timings]
    return [Header(label, slot.protocol.dataset) for label in ("training (h)", *batches)]


def _label(slots: Sequence[ShownProtocol], position: int) -> str:
    """The defense's label; where slots use different variants, all of them."""
    return " / ".join(dict.fromkeys(slot.columns[position].label for slot in slots))


def _entries(cell: CostStudy | None, width: int) -> list[Entry]:
    if cell is None:
        return [Entry(MISSING)] * width
    values = [cell.training.seconds / 3600, *(timing.milliseconds for timing in cell.timings)]
    return [significant(value, source=cell.path) for value in values]


def _measured(protocol: Facts, costs: Sequence[CostStudy]) -> str:
    devices = listed(list(dict.fromkeys(cell.device for cell in costs)))
    counted = [timing.batches for cell in costs for timing in cell.timings]
    fewest = f"{min(counted)} to {max(counted)}" if min(counted) < max(counted) else f"{max(counted)}"
    network, threads = protocol.networks.get(costs[0].network, costs[0].network), costs[0].threads
    return (
        f"{protocol.dataset}: {network} on {devices}, {threads} thread{'s' * (threads != 1)}, means of {fewest} "
        "batches."
    )


def _records(protocol: str, cell: CostStudy) -> list[dict[str, Any]]:
    return [
        {
            "protocol": protocol,
            "defense": cell.column,
            "network": cell.network,
            "training_seconds": cell.training.seconds,
            "batch_size": timing.batch_size,
            "batches": timing.batches,
            "milliseconds": timing.milliseconds,
            "device": cell.device,
        }
        for timing in cell.timings
    ]
