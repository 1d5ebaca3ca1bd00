"""What the paper leaves out: white-box attacks, pairs of different architectures, a control without a trigger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trigger_activation.plan.config.values import WITHOUT_TRIGGER
from trigger_activation.plan.contents import Cell, InformedStudy, WhiteBoxStudy
from trigger_activation.plan.layouts import ShownAttack, ShownColumn, SupplementaryLayout
from trigger_activation.report.tables.accuracy import (
    SURROGATES,
    headers,
    in_rows,
    sources,
    value_row,
)
from trigger_activation.report.tables.facts import (
    changed_parameters,
    column_seeds,
    data_and_networks,
    fewer_images,
    informed_attacks,
    seeds_used,
    substitutes,
    threat_model,
    titled,
    white_box_attacks,
)
from trigger_activation.report.tables.grid import Grid, Row
from trigger_activation.report.tables.intervals import RowMeans, in_csv, widest
from trigger_activation.report.tables.marks import MARKS
from trigger_activation.report.wording import listed
from trigger_activation.science.evaluation.results import PairMean
from trigger_activation.science.sanity import SanityLimits, failures

Measured = Cell | WhiteBoxStudy | InformedStudy
Content = Measured | None
"""Rows of attackers who know the victim, or something of it, have studies; None for what is missing."""
Shown = Sequence[RowMeans]
WITHOUT_TRIGGERS = (
    "In the row f(x) victims see clean images without their trigger, where they shall guess: nothing is marked there, "
    "and a dash stands where networks have no trigger."
)


def build(layout: SupplementaryLayout, cells: Sequence[Content]) -> Grid:
    """The grid of the supplementary table.

    Args:
        layout: the plan's layout of the table.
        cells: row by row, in the order of the layout.
    """
    by_row = in_rows(cells, len(layout.columns))
    shown = [[_mean(row, cell) for cell in group] for row, group in zip(layout.rows, by_row, strict=True)]
    return Grid(
        number=layout.number,
        title=titled(layout.title, layout.protocol),
        notes=_notes(layout, shown, by_row),
        corner="Attack",
        headers=headers(layout.columns),
        rows=[
            _row(row, means, layout.decimals, sources(group))
            for row, means, group in zip(layout.rows, shown, by_row, strict=True)
        ],
        records=[
            _record(row, column, cell, in_csv(mean), layout.protocol.sanity)
            for row, group, means in zip(layout.rows, by_row, shown, strict=True)
            for column, cell, mean in zip(layout.columns, group, means, strict=True)
            if cell is not None and mean is not None
        ],
    )


def _row(row: ShownAttack, means: RowMeans, decimals: int, paths: Sequence[str | None]) -> Row:
    """The best are marked, unless the row is one where networks shall guess."""
    values = value_row(row.label, means, decimals, paths)
    if row.pairs != WITHOUT_TRIGGER:
        return values
    return replace(values, entries=[replace(entry, mark="") for entry in values.entries])


def _mean(row: ShownAttack, cell: Content) -> PairMean | None:
    """The mean over the row's pairs; measurements name theirs by attack."""
    return None if cell is None else cell.means.get(row.pairs or row.attack)


def _notes(layout: SupplementaryLayout, shown: Shown, cells: Sequence[Sequence[Content]]) -> list[str]:
    single = any(
        mean is None and cell is not None
        for row, means, group in zip(layout.rows, shown, cells, strict=True)
        for mean, cell in zip(means, group, strict=True)
        if row.pairs != WITHOUT_TRIGGER
    )
    surrogates = dict.fromkeys(SURROGATES[row.surrogates] for row in layout.rows if row.surrogates in SURROGATES)
    transfer = f"; transfer attacks use {listed(list(surrogates))}" if surrogates else ""
    return [
        f"Accuracy in percent{transfer}.",
        data_and_networks(layout.protocol),
        threat_model(layout.protocol, layout.protocol.images),
        *fewer_images(layout.protocol, layout.rows),
        *changed_parameters(layout.changes),
        *([white_box_attacks(layout.white_box)] if layout.white_box else []),
        *([informed_attacks(layout.informed, [row.knows for row in layout.rows])] if layout.informed else []),
        *substitutes(layout.substitutes),
        seeds_used(column_seeds(layout.columns)),
        *(["A dash: victims of one seed have no pair with a surrogate of another."] if single else []),
        *([WITHOUT_TRIGGERS] if any(row.pairs == WITHOUT_TRIGGER for row in layout.rows) else []),
        *_intervals(layout.rows, shown),
        *layout.notes,
        MARKS,
    ]


def _intervals(rows: Sequence[ShownAttack], shown: Shown) -> list[str]:
    """By what the attacker has: each kind of rows is about other images."""
    kinds: dict[str, list[RowMeans]] = {}
    for row, means in zip(rows, shown, strict=True):
        if any(mean is not None for mean in means):
            kinds.setdefault(_attacker(row), []).append(means)
    if len(kinds) == 1:
        return [widest(group) for group in kinds.values()]
    return [f"{kind}: {widest(group)}" for kind, group in kinds.items()]


def _attacker(row: ShownAttack) -> str:
    if row.knows is not None:
        return "Rows of attackers who know more"
    return "White-box rows" if row.surrogates == "victim" else "Transfer rows"


def _record(
    row: ShownAttack, column: ShownColumn, cell: Measured, found: Mapping[str, Any], limits: SanityLimits
) -> dict[str, Any]:
    return {
        "attack": row.attack,
        "surrogates": row.surrogates,
        "pairs": row.pairs,
        "column": column.name,
        **found,
        "seeds": len(cell.seeds),
        "images": cell.images,
        "failed_checks": " ".join(failures(cell.evidence, limits)),
    }
