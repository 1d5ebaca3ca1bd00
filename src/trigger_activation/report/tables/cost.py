"""What defenses cost: training hours and milliseconds for a batch (paper, Table V)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trigger_activation.report.tables.grid import MISSING, Cells, Entry, Grid, Header, Row, significant
from trigger_activation.report.wording import listed

CLOCKS = {
    "wall": "Training hours are wall time",
    "cpu": "Training hours are CPU time over the threads, since other trainings ran beside",
}
"""How training was timed."""


def build(layout: Mapping[str, Any], cells: Cells) -> Grid:
    """The grid of the cost table: a row for each defense, a group of columns for each data set.

    Args:
        layout: the plan's layout of the table.
        cells: slot by slot, one per defense.
    """
    slots = layout["slots"]
    height = len(slots[0]["columns"])
    by_slot = [cells[start : start + height] for start in range(0, len(cells), height)]
    measured = [[cell for cell in costs if cell is not None] for costs in by_slot]
    widths = [1 + max((len(cell["timings"]) for cell in costs), default=0) for costs in measured]
    rows = [
        Row(_label(slots, position), [entry for pair in zip(row, widths, strict=True) for entry in _entries(*pair)])
        for position, row in enumerate(zip(*by_slot, strict=True))
    ]
    clocks = list(dict.fromkeys(CLOCKS[cell["training"]["clock"]] for costs in measured for cell in costs[:1]))
    return Grid(
        number=layout["number"],
        title=layout["title"],
        notes=[
            *(_measured(slot["protocol"], costs) for slot, costs in zip(slots, measured, strict=True) if costs),
            f"{listed(clocks)}; the training of networks that purifiers consult is not among them. Test times are of a "
            "machine that did nothing else, preprocessing included, loading of data not.",
        ],
        corner="Defense",
        headers=[
            Header(label, slot["protocol"]["dataset"])
            for slot, costs in zip(slots, measured, strict=True)
            for label in (
                "training (h)",
                *(f"batch of {t['batch_size']} (ms)" for c in costs[:1] for t in c["timings"]),
            )
        ],
        rows=rows,
        records=[
            record
            for slot, costs in zip(slots, measured, strict=True)
            for cell in costs
            for record in _records(slot["protocol"]["name"], cell)
        ],
    )


def _label(slots: Sequence[Mapping[str, Any]], position: int) -> str:
    """The defense's label; where slots use different variants, all of them."""
    return " / ".join(dict.fromkeys(slot["columns"][position]["label"] for slot in slots))


def _entries(cell: Mapping[str, Any] | None, width: int) -> list[Entry]:
    if cell is None:
        return [Entry(MISSING)] * width
    values = [cell["training"]["seconds"] / 3600, *(timing["milliseconds"] for timing in cell["timings"])]
    return [significant(value, source=cell.get("path")) for value in values]


def _measured(protocol: Mapping[str, Any], costs: Sequence[Mapping[str, Any]]) -> str:
    devices = listed(list(dict.fromkeys(cell["device"] for cell in costs)))
    counted = [timing["batches"] for cell in costs for timing in cell["timings"]]
    fewest = f"{min(counted)} to {max(counted)}" if min(counted) < max(counted) else f"{max(counted)}"
    network = protocol["networks"].get(costs[0]["network"], costs[0]["network"])
    return (
        f"{protocol['dataset']}: {network} on {devices}, {costs[0]['threads']} "
        f"thread{'s' * (costs[0]['threads'] != 1)}, means of {fewest} batches."
    )


def _records(protocol: str, cell: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "protocol": protocol,
            "defense": cell["column"],
            "network": cell["network"],
            "training_seconds": cell["training"]["seconds"],
            **timing,
            "device": cell["device"],
        }
        for timing in cell["timings"]
    ]
