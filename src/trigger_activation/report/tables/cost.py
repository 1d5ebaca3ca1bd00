"""What defenses cost: the time of a training and milliseconds for a batch (paper, Table V)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trigger_activation.plan.contents import BatchTiming, CostStudy
from trigger_activation.plan.layouts import CostLayout, Facts, ShownColumn, ShownProtocol
from trigger_activation.report.tables.accuracy import in_rows
from trigger_activation.report.tables.grid import MISSING, Entry, Grid, Header, Row, significant
from trigger_activation.report.wording import listed

CLOCKS = {
    "wall": "Training times are wall time",
    "cpu": "Training times are CPU time over the threads, since other trainings ran beside",
}
"""How training was timed."""
TRAINING_DIGITS = 2
"""Of training times, whose spread nobody measured."""
HOUR = 3600
SHORT = 0.1 * HOUR
"""Seconds of a training, below which a data set's trainings are told in seconds; the paper tells hours."""


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
            [
                entry
                for cell, costs, width in zip(row, measured, widths, strict=True)
                for entry in _entries(cell, width, _unit(costs)[1])
            ],
        )
        for position, row in enumerate(zip(*by_slot, strict=True))
    ]
    return Grid(
        number=layout.number,
        title=layout.title,
        notes=_notes(layout, by_slot),
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


def _notes(layout: CostLayout, by_slot: Sequence[Sequence[CostStudy | None]]) -> list[str]:
    measured = [[cell for cell in costs if cell is not None] for costs in by_slot]
    clocks = dict.fromkeys(CLOCKS[cell.training.clock] for costs in measured for cell in costs[:1])
    return [
        *(
            _measured(slot.protocol, costs) + _between_jobs(slot.columns, row)
            for slot, costs, row in zip(layout.slots, measured, by_slot, strict=True)
            if costs
        ),
        f"{listed(list(clocks))}, taken once and so with two digits; the training of networks that purifiers consult "
        "is not among them. Test times are of a machine that did nothing else, preprocessing included, loading of data "
        "not.",
    ]


def _headers(slot: ShownProtocol, costs: Sequence[CostStudy]) -> list[Header]:
    """Of the columns of one data set."""
    batches = [f"batch of {timing.batch_size} (ms)" for cell in costs[:1] for timing in cell.timings]
    return [Header(label, slot.protocol.dataset) for label in (f"training ({_unit(costs)[0]})", *batches)]


def _unit(costs: Sequence[CostStudy]) -> tuple[str, int]:
    """In which trainings on one data set are told, and its seconds."""
    longest = max((cell.training.seconds for cell in costs), default=HOUR)
    return ("h", HOUR) if longest >= SHORT else ("s", 1)


def _label(slots: Sequence[ShownProtocol], position: int) -> str:
    """The defense's label; where slots use different variants, all of them."""
    return " / ".join(dict.fromkeys(slot.columns[position].label for slot in slots))


def _entries(cell: CostStudy | None, width: int, unit: int) -> list[Entry]:
    if cell is None:
        return [Entry(MISSING)] * width
    training = significant(cell.training.seconds / unit, TRAINING_DIGITS, (cell.path,))
    return [training, *(_timed(timing, cell.path) for timing in cell.timings)]


def _timed(timing: BatchTiming, path: str) -> Entry:
    """Milliseconds to the last digit that their spread leaves certain: the first of the spread itself."""
    if timing.deviation == 0:
        return significant(timing.milliseconds, sources=(path,))
    decimals = significant(timing.deviation, 1).decimals
    return Entry(timing.milliseconds, decimals, timing.deviation, sources=(path,))


def _measured(protocol: Facts, costs: Sequence[CostStudy]) -> str:
    devices = listed(list(dict.fromkeys(cell.device for cell in costs)))
    counted = [timing.batches for cell in costs for timing in cell.timings]
    fewest = f"{min(counted)} to {max(counted)}" if min(counted) < max(counted) else f"{max(counted)}"
    network, threads = protocol.networks.get(costs[0].network, costs[0].network), costs[0].threads
    rounds = max(timing.repeats for cell in costs for timing in cell.timings)
    spread = f" and ± the standard deviation over {rounds} repeats in one job" if rounds > 1 else ""
    return (
        f"{protocol.dataset}: {network} on {devices}, {threads} thread{'s' * (threads != 1)}, means of {fewest} "
        f"batches{spread}."
    )


def _between_jobs(columns: Sequence[ShownColumn], costs: Sequence[CostStudy | None]) -> str:
    """How far the times of defenses that run the same network are apart, which repeats in one job do not tell."""
    alike = [cell for column, cell in zip(columns, costs, strict=True) if cell and column.preprocessing is None]
    if len(alike) < 2:
        return ""
    times = [[cell.timings[size].milliseconds for cell in alike] for size in range(len(alike[0].timings))]
    widest = max(max(row) / min(row) for row in times)
    return (
        f" The {len(alike)} defenses without preprocessing run one network, and between jobs take up to {widest:.2f} "
        "times as long."
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
            "repeats": timing.repeats,
            "deviation": timing.deviation,
            "device": cell.device,
        }
        for timing in cell.timings
    ]
