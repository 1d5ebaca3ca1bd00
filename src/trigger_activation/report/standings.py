"""Defenses ranked: what each keeps on clean images, under attacks in the mean, and under the worst of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from trigger_activation.plan.config.values import CLEAN
from trigger_activation.plan.contents import Cell
from trigger_activation.plan.layouts import AccuracyLayout, AnyTableLayout, ShownColumn
from trigger_activation.report.narrowing import narrowed
from trigger_activation.report.tables.accuracy import in_rows, statistics

InPrintHere = Callable[[str, str], float | None]
"""Labels of a row and of a column -> the published value of the cell, if it may stand beside it."""


@dataclass(frozen=True)
class Score:
    """An accuracy in percent."""

    measured: float
    printed: float | None
    row: str = ""
    """Label of the row that it stands in; none for a mean."""


@dataclass(frozen=True)
class Standing:
    """One defense."""

    column: ShownColumn
    clean: Score
    mean: Score
    """Over all attacks of the table."""
    worst: Score
    """Under the attack that lowers it most; in print that may be another one."""


def ranked_tables(layouts: Iterable[AnyTableLayout]) -> list[AccuracyLayout]:
    """Of each protocol the widest table of defenses under attacks from undefended networks."""
    widest: dict[str, AccuracyLayout] = {}
    for layout in layouts:
        if isinstance(layout, AccuracyLayout) and layout.surrogates == "standard" and _has_both(layout):
            known = widest.setdefault(layout.protocol.name, layout)
            if len(layout.columns) > len(known.columns):
                widest[layout.protocol.name] = layout
    return list(widest.values())


def _has_both(layout: AccuracyLayout) -> bool:
    attacks = [row.attack for row in layout.rows]
    return not layout.missing and CLEAN in attacks and len(attacks) > 1


def standings(
    layout: AccuracyLayout, contents: Sequence[object], in_print: InPrintHere | None, pairs: str | None = None
) -> list[Standing]:
    """The defenses of a table, in its order.

    Args:
        layout: of a table with a clean row, see :func:`ranked_tables`.
        contents: its cells, row by row.
        in_print: what the paper prints in the place of a cell, if anything is compared.
        pairs: of surrogate and victim, if not those that the table prints.
    """
    rows = in_rows(narrowed(contents, Cell), len(layout.columns))
    columns = zip(*rows, strict=True)
    return [_standing(layout, position, cells, in_print, pairs) for position, cells in enumerate(columns)]


def _standing(
    layout: AccuracyLayout, position: int, cells: Sequence[Cell], in_print: InPrintHere | None, pairs: str | None
) -> Standing:
    column = layout.columns[position]
    scores = {
        row.attack: Score(_mean(layout, cell, pairs), in_print(row.label, column.full) if in_print else None, row.label)
        for row, cell in zip(layout.rows, cells, strict=True)
    }
    clean = scores.pop(CLEAN)
    return Standing(column, clean, _mean_of(list(scores.values())), _worst_of(list(scores.values())))


def _mean(layout: AccuracyLayout, cell: Cell, pairs: str | None) -> float:
    return cell.means[pairs].mean if pairs in cell.means else statistics(layout, cell).mean


def _mean_of(scores: Sequence[Score]) -> Score:
    return Score(fmean(score.measured for score in scores), _complete(scores, fmean))


def _worst_of(scores: Sequence[Score]) -> Score:
    worst = min(scores, key=lambda score: score.measured)
    return Score(worst.measured, _complete(scores, min), worst.row)


def _complete(scores: Sequence[Score], summary: Callable[[list[float]], float]) -> float | None:
    printed = [score.printed for score in scores if score.printed is not None]
    return summary(printed) if len(printed) == len(scores) else None
