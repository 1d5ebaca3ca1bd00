"""Tables of accuracies: attacks by defenses (paper, Tables I-IV and VII-X)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from trigger_activation.plan.config.values import CLEAN
from trigger_activation.plan.contents import Cell, Content
from trigger_activation.plan.layouts import AccuracyLayout, AttackedLayout, ShownColumn
from trigger_activation.report.tables.facts import (
    changed_parameters,
    column_seeds,
    data_and_networks,
    fewer_images,
    seeds_used,
    substitutes,
    threat_model,
    titled,
    trained_elsewhere,
)
from trigger_activation.report.tables.grid import MISSING, Entry, Grid, Header, Row
from trigger_activation.report.tables.intervals import RowMeans, in_csv, widest
from trigger_activation.report.tables.marks import MARKS, marked
from trigger_activation.science.evaluation.results import PairMean, mean_over
from trigger_activation.science.sanity import failures

C = TypeVar("C")
PAIRS = {
    "all": "all surrogate-victim pairs, the network attacked on itself among them",
    "off_diagonal": "all pairs of different surrogate and victim architectures",
}
SURROGATES = {"standard": "undefended surrogates", "same": "surrogates trained and deployed as the victim is"}


def build(layout: AccuracyLayout, cells: Sequence[Cell | None]) -> Grid:
    """The grid of one accuracy table.

    Args:
        layout: the plan's layout of the table.
        cells: row by row, in the order of the layout; None for one that is missing.
    """
    by_row = in_rows(cells, len(layout.columns))
    return Grid(
        number=layout.number,
        title=titled(layout.title, layout.protocol),
        notes=_notes(layout, cells),
        corner="Attack",
        headers=headers(layout.columns),
        rows=_rows(layout, by_row),
        records=[
            _record(layout, cell, column)
            for row in by_row
            for cell, column in zip(row, layout.columns, strict=True)
            if cell is not None
        ],
    )


def in_rows(cells: Sequence[C], width: int) -> list[Sequence[C]]:
    """A flat sequence of cells, row by row."""
    return [cells[start : start + width] for start in range(0, len(cells), width)]


def sources(cells: Iterable[Content | None]) -> list[str | None]:
    """The path of each cell; None for one that is missing."""
    return [None if cell is None else cell.path for cell in cells]


def headers(columns: Sequence[ShownColumn]) -> list[Header]:
    """A heading for each column."""
    return [Header(column.label, column.group) for column in columns]


def statistics(layout: AttackedLayout, cell: Cell) -> PairMean:
    """The mean that the table prints, with its spread; the clean row has no pairs to choose from."""
    return cell.means["all" if cell.attack == CLEAN else layout.pairs]


def _shown(layout: AccuracyLayout, cells: Iterable[Cell | None]) -> list[PairMean | None]:
    return [None if cell is None else statistics(layout, cell) for cell in cells]


def _rows(layout: AccuracyLayout, by_row: Sequence[Sequence[Cell | None]]) -> list[Row]:
    rows = [
        value_row(attack.label, _shown(layout, row), layout.decimals, sources(row))
        for attack, row in zip(layout.rows, by_row, strict=True)
    ]
    if not layout.mean_row:
        return rows
    attacked = [row for attack, row in zip(layout.rows, by_row, strict=True) if attack.attack != CLEAN]
    return [*rows, _mean_row(layout, attacked)]


def value_row(label: str, shown: RowMeans, decimals: int, paths: Sequence[str | None]) -> Row:
    """Means with their deviation over seeds, the best marked; a dash where a cell has none.

    Args:
        label: of the row.
        shown: the means.
        decimals: of the printed numbers.
        paths: of the cell that each mean is read from; None for one that is missing.
    """
    marks = iter(marked([found for found in shown if found is not None]))
    entries = []
    for found, path in zip(shown, paths, strict=True):
        if path is None:
            entries.append(Entry(MISSING))
        elif found is None:
            entries.append(Entry("–", sources=(path,)))
        else:
            entries.append(Entry(found.mean, decimals, found.standard_deviation, next(marks), (path,)))
    return Row(label, entries)


def _mean_row(layout: AccuracyLayout, rows: Sequence[Sequence[Cell | None]]) -> Row:
    """The mean over attacks of the unrounded cells; missing where one of them is."""
    columns = list(zip(*rows, strict=True))
    means = [_mean_of_all(_shown(layout, column)) for column in columns]
    marks = iter(marked([found for found in means if found is not None]))
    entries = [
        Entry(MISSING)
        if found is None
        else Entry(found.mean, layout.decimals, None, next(marks), tuple(cell.path for cell in column if cell))
        for found, column in zip(means, columns, strict=True)
    ]
    return Row("Mean", entries, ruled=True, summary=True)


def _mean_of_all(shown: RowMeans) -> PairMean | None:
    known = [found for found in shown if found is not None]
    return mean_over(known) if len(known) == len(shown) else None


def _notes(layout: AccuracyLayout, cells: Sequence[Cell | None]) -> list[str]:
    by_row = in_rows(cells, len(layout.columns))
    return [
        f"Accuracy in percent, the mean over {PAIRS[layout.pairs]}; {SURROGATES[layout.surrogates]}.",
        data_and_networks(layout.protocol),
        threat_model(layout.protocol, layout.protocol.images),
        *fewer_images(layout.protocol, layout.rows),
        *changed_parameters(layout.changes),
        *substitutes(layout.substitutes),
        *trained_elsewhere(layout.columns),
        seeds_used(column_seeds(layout.columns)),
        widest([_shown(layout, row) for row in by_row]),
        MARKS,
    ]


def _record(layout: AccuracyLayout, cell: Cell, column: ShownColumn) -> dict[str, Any]:
    off_diagonal = cell.means.get("off_diagonal")
    return {
        "attack": cell.attack,
        "column": column.name,
        **in_csv(statistics(layout, cell)),
        "mean_all": cell.means["all"].mean,
        "mean_off_diagonal": off_diagonal.mean if off_diagonal else None,
        "seeds": len(cell.seeds),
        "images": cell.images,
        "failed_checks": " ".join(failures(cell.evidence, layout.protocol.sanity)),
    }
