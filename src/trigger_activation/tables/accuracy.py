"""Tables of accuracies: attacks by defenses (paper, Tables I-IV and VII-X)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np

from trigger_activation.tables.facts import changed_parameters, data_and_networks, seeds_used, substitutes, threat_model
from trigger_activation.tables.grid import Entry, Grid, Header, Row, ranked

CLEAN = "clean"
PAIRS = {
    "all": "all surrogate-victim pairs, the network attacked on itself among them",
    "off_diagonal": "all pairs of different surrogate and victim architectures",
}
SURROGATES = {"standard": "undefended surrogates", "same": "surrogates trained and deployed as the victim is"}


def build(layout: Mapping[str, Any], cells: Sequence[dict[str, Any]]) -> Grid:
    """The grid of one accuracy table.

    Args:
        layout: the plan's layout of the table.
        cells: row by row, in the order of the layout.
    """
    columns, attacks = layout["columns"], layout["rows"]
    width = len(columns)
    by_row = [cells[start : start + width] for start in range(0, len(cells), width)]
    rows = [_row(layout, attack, row) for attack, row in zip(attacks, by_row, strict=True)]
    if layout["mean_row"]:
        attacked = [r for attack, r in zip(attacks, by_row, strict=True) if attack["attack"] != CLEAN]
        rows.append(_mean_row(layout, attacked))
    return Grid(
        number=layout["number"],
        title=layout["title"],
        notes=_notes(layout, cells),
        corner="Attack",
        headers=[Header(column["label"], column["group"]) for column in columns],
        rows=rows,
        records=[_record(layout, cell, column) for row in by_row for cell, column in zip(row, columns, strict=True)],
    )


def statistics(layout: Mapping[str, Any], cell: dict[str, Any]) -> dict[str, Any]:
    """The mean that the table prints, with its spread; the clean row has no pairs to choose from."""
    pairs = "all" if cell["attack"] == CLEAN else layout["pairs"]
    chosen: dict[str, Any] = cell["means"][pairs]
    return chosen


def _row(layout: Mapping[str, Any], attack: Mapping[str, str], cells: Sequence[dict[str, Any]]) -> Row:
    shown = [statistics(layout, cell) for cell in cells]
    marks = ranked([s["mean"] for s in shown])
    entries = [
        Entry(s["mean"], layout["decimals"], s["standard_deviation"], mark, cell.get("path"))
        for s, mark, cell in zip(shown, marks, cells, strict=True)
    ]
    return Row(attack["label"], entries)


def _mean_row(layout: Mapping[str, Any], rows: Sequence[Sequence[dict[str, Any]]]) -> Row:
    """The mean over attacks of the unrounded cells."""
    means = [mean(statistics(layout, cell)["mean"] for cell in column) for column in zip(*rows, strict=True)]
    entries = [Entry(value, layout["decimals"], None, mark) for value, mark in zip(means, ranked(means), strict=True)]
    return Row("Mean", entries, ruled=True, summary=True)


def interval(bootstrap: Sequence[float]) -> tuple[float, float]:
    """The 95 % percentile interval of bootstrap means."""
    low, high = np.percentile(bootstrap, [2.5, 97.5])
    return float(low), float(high)


def _notes(layout: Mapping[str, Any], cells: Sequence[dict[str, Any]]) -> list[str]:
    halves = [(high - low) / 2 for low, high in (interval(statistics(layout, c)["bootstrap"]) for c in cells)]
    counts = {Header(c["label"], c["group"]).full: c["seeds"] for c in layout["columns"]}
    return [
        data_and_networks(layout["protocol"]),
        threat_model(layout["protocol"], cells[0]["images"]),
        *changed_parameters(layout["changes"]),
        *substitutes(layout["substitutes"]),
        f"Accuracy in percent, the mean over {PAIRS[layout['pairs']]}; {SURROGATES[layout['surrogates']]}.",
        seeds_used(counts),
        f"Resampling the images moves a cell by up to ±{max(halves):.1f} points (95 %).",
        "Best of a row bold, second underlined.",
    ]


def _record(layout: Mapping[str, Any], cell: dict[str, Any], column: Mapping[str, Any]) -> dict[str, Any]:
    shown = statistics(layout, cell)
    low, high = interval(shown["bootstrap"])
    off_diagonal = cell["means"].get("off_diagonal")
    return {
        "attack": cell["attack"],
        "column": column["name"],
        "accuracy": shown["mean"],
        "standard_deviation": shown["standard_deviation"],
        "interval_low": round(low, 6),
        "interval_high": round(high, 6),
        "mean_all": cell["means"]["all"]["mean"],
        "mean_off_diagonal": off_diagonal["mean"] if off_diagonal else None,
        "seeds": len(cell["seeds"]),
        "images": cell["images"],
    }
