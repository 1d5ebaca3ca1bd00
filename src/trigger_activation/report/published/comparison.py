"""A run's tables beside the published ones, cell by cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from scipy import stats

from trigger_activation.parameters import grey_levels
from trigger_activation.plan.contents import Cell, Content
from trigger_activation.plan.layouts import AccuracyLayout, ComparedTable, Facts, InPrint
from trigger_activation.report.addresses import column_keys
from trigger_activation.report.narrowing import narrowed
from trigger_activation.report.published.claims import Term
from trigger_activation.report.published.numbers import CLEAN, MEAN, PrintedColumn, Published
from trigger_activation.report.published.run import OFF_DIAGONAL, PRINTED, published_column, published_row, run_of
from trigger_activation.report.published.verdicts import Judgement, in_print, judge_claims
from trigger_activation.report.published.wording import column_name
from trigger_activation.report.tables.accuracy import statistics
from trigger_activation.report.wording import listed
from trigger_activation.science.evaluation.contrast import difference
from trigger_activation.science.evaluation.results import PairMean, mean_over
from trigger_activation.science.evaluation.uncertainty import Estimate

PUBLISHED = "published"


@dataclass(frozen=True)
class Pair:
    """One cell, measured and published."""

    mean: PairMean
    published: float | None

    @property
    def measured(self) -> float:
        """In percent."""
        return self.mean.mean

    @property
    def difference(self) -> float | None:
        """Measured minus published, in points."""
        return None if self.published is None else self.measured - self.published


@dataclass(frozen=True)
class ComparedRow:
    """One row of a table."""

    label: str
    published: str | None
    """What the paper calls it; None where it has no such row."""
    pairs: Sequence[Pair]

    @property
    def attacked(self) -> bool:
        """Whether it is an attack's."""
        return self.published not in (None, CLEAN, MEAN)

    @property
    def tau(self) -> float | None:
        """Kendall's rank correlation over the row."""
        return rank_correlation(self.pairs)

    @property
    def tau_range(self) -> tuple[float, float] | None:
        """The least and the greatest that it may be, as far as the data can tell the columns apart."""
        return rank_range(self.pairs)


@dataclass(frozen=True)
class TableInPrint:
    """One accuracy table."""

    name: str
    """Of its file, and of its place on the page."""
    number: str
    title: str
    decimals: int
    protocol: str
    changes: Sequence[str]
    """What the run does otherwise than the paper; empty where magnitudes can be compared."""
    labels: Sequence[str]
    keys: Sequence[str]
    """Of the columns, in addresses."""
    columns: Sequence[PrintedColumn | None]
    """The published counterpart of each column."""
    alike: Sequence[bool]
    """Whether each column has the parameter of its counterpart, so that their values may stand side by side."""
    rows: Sequence[ComparedRow]
    not_run_columns: Sequence[PrintedColumn]
    not_run_rows: Sequence[str]

    def in_print(self, row: str, column: str) -> float | None:
        """The published value in the place of a cell, unless the column's parameter is another one there.

        Args:
            row: its label here.
            column: the heading here.
        """
        position = self.labels.index(column)
        (pair,) = (known.pairs[position] for known in self.rows if known.label == row)
        return pair.published if self.alike[position] else None

    @property
    def tau(self) -> float | None:
        """Kendall's rank correlation over all cells of the attack rows."""
        return rank_correlation(pair for row in self.rows if row.attacked for pair in row.pairs)

    @property
    def mean_distance(self) -> float | None:
        """Mean absolute difference over all cells of the attack rows, in points."""
        found = [pair.difference for row in self.rows if row.attacked for pair in row.pairs]
        distances = [abs(difference) for difference in found if difference is not None]
        return fmean(distances) if distances else None


@dataclass(frozen=True)
class Comparison:
    """Everything that the report shows."""

    tables: Sequence[TableInPrint]
    judgements: Sequence[Judgement]
    not_compared: Sequence[str]
    """Published tables that have no counterpart here."""

    def table(self, term: Term) -> TableInPrint | None:
        """The run's table that shows the counterpart of a term's column, if it is an accuracy table of the run."""
        found = (table for table in self.tables if table.number == term.table and term.column in table.columns)
        return next(found, None)

    def name(self, term: Term) -> str:
        """What the run calls the column of a term."""
        table = self.table(term)
        return table.labels[table.columns.index(term.column)] if table else column_name(term.column)


def compare(
    published: Published, tables: Sequence[ComparedTable], cells: Mapping[str, Sequence[Content]]
) -> Comparison:
    """Put a run beside the paper.

    Args:
        published: the published numbers.
        tables: the layouts of the run's tables, each with what the paper's experiment has in its place, from the plan.
        cells: the contents of each table's cells, in the plan's order.
    """
    order = {number: place for place, number in enumerate(published.tables)}
    known = [table for table in tables if table.layout.number in order]
    known.sort(key=lambda table: order[table.layout.number])
    shown = [
        _table(published, table.name, table.layout, table.paper, narrowed(cells[table.name], Cell))
        for table in known
        if isinstance(table.layout, AccuracyLayout)
    ]
    run = run_of(published, known, cells)
    measures = {
        PUBLISHED: in_print(published),
        PRINTED: run.measure(PRINTED),
        OFF_DIAGONAL: run.measure(OFF_DIAGONAL),
    }
    numbers = {table.number for table in shown}
    return Comparison(
        shown,
        judge_claims(published, measures),
        [number for number in published.tables if number not in numbers],
    )


def rank_correlation(pairs: Iterable[Pair]) -> float | None:
    """Kendall's tau-b of measured against published values; None where it is not defined."""
    both = [(pair.measured, pair.published) for pair in pairs if pair.published is not None]
    if len(both) < 2:
        return None
    tau = float(stats.kendalltau(*zip(*both, strict=True)).statistic)
    return None if tau != tau else tau


def rank_range(pairs: Sequence[Pair]) -> tuple[float, float] | None:
    """Kendall's tau-b if each two columns whose difference has zero in its 95 % interval stood against the published
    order, and if they stood in it; None where it is not defined."""
    both = [(pair.mean, pair.published) for pair in pairs if pair.published is not None]
    apart = [(one, other) for one, other in combinations(both, 2) if one[1] != other[1]]
    if not apart:
        return None
    standing = [_standing(difference(one[0], other[0]), one[1] - other[1]) for one, other in apart]
    scale = math.sqrt(math.comb(len(both), 2) * len(apart))
    return (sum(standing) - standing.count(0)) / scale, (sum(standing) + standing.count(0)) / scale


def _standing(found: Estimate, published: float) -> int:
    """1 if two columns stand as they do in print, -1 if the other way round, 0 if the data cannot tell."""
    return found.sign if published > 0 else -found.sign


def _table(
    published: Published, name: str, layout: AccuracyLayout, papers: Sequence[InPrint], cells: Sequence[Cell]
) -> TableInPrint:
    (paper,) = papers
    number, width = layout.number, len(layout.columns)
    columns = [published_column(published, number, counterpart) for counterpart in paper.columns]
    measured = [statistics(layout, cell) for cell in cells]
    rows = []
    for index, attack in enumerate(layout.rows):
        row = published_row(published, number, attack.attack)
        values = measured[index * width : (index + 1) * width]
        printed = [_published(published, number, row, column) for column in columns]
        rows.append(ComparedRow(attack.label, row, [Pair(*both) for both in zip(values, printed, strict=True)]))
    shown = {row.published for row in rows}
    if layout.mean_row:
        rows.append(_mean_row([row for row in rows if row.attacked]))
    return TableInPrint(
        name=name,
        number=number,
        title=f"{layout.title}, {layout.protocol.dataset}",
        decimals=layout.decimals,
        protocol=layout.protocol.name,
        changes=changes(layout.protocol, paper.protocol),
        labels=[column.full for column in layout.columns],
        keys=column_keys(layout.columns),
        columns=columns,
        alike=paper.alike(),
        rows=rows,
        not_run_columns=[column for column in published.columns(number) if column not in columns],
        not_run_rows=[row for row in published.rows(number) if row not in shown and row != MEAN],
    )


def _published(published: Published, table: str, row: str | None, column: PrintedColumn | None) -> float | None:
    value = None if row is None or column is None else published.value(table, row, column)
    return None if value is None else float(value)


def _mean_row(rows: Sequence[ComparedRow]) -> ComparedRow:
    """The mean over attacks of the cells shown, on both sides: the printed means are not the means of their cells."""
    pairs = []
    for column in zip(*(row.pairs for row in rows), strict=True):
        published = [pair.published for pair in column if pair.published is not None]
        complete = len(published) == len(column)
        pairs.append(Pair(mean_over([pair.mean for pair in column]), fmean(published) if complete else None))
    return ComparedRow(MEAN, MEAN, pairs)


def changes(here: Facts, paper: Facts) -> list[str]:
    """What a protocol does otherwise than the paper's, one phrase each."""
    mine, theirs = _described(here), _described(paper)
    return [f"{name} {mine[name]} instead of {theirs[name]}" for name in mine if mine[name] != theirs[name]]


def _described(facts: Facts) -> dict[str, str]:
    return {
        "data set": facts.dataset,
        "networks": listed(list(facts.networks.values())),
        "budget": grey_levels(facts.eps),
        "iterations": str(facts.steps),
        "epochs": str(facts.epochs),
        "test images": f"{facts.images:,}",
    }
