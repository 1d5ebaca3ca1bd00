"""What a run measured, by the paper's rows and columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean

from trigger_activation.lazy import numpy as np
from trigger_activation.plan.config.values import CLEAN
from trigger_activation.plan.contents import Cell, Content, TriggerStudy
from trigger_activation.plan.layouts import AccuracyLayout, ComparedTable, Counterpart, InPrint, TriggerLayout
from trigger_activation.report.narrowing import narrowed
from trigger_activation.report.published.claims import Term
from trigger_activation.report.published.numbers import PrintedColumn, Published, slug
from trigger_activation.report.published.verdicts import Measure
from trigger_activation.report.tables.accuracy import statistics
from trigger_activation.report.tables.trigger import SCALE
from trigger_activation.science.evaluation.contrast import difference
from trigger_activation.science.evaluation.results import PairMean, mean_over
from trigger_activation.science.evaluation.uncertainty import Estimate

PRINTED, OFF_DIAGONAL = "printed", "off_diagonal"

Place = tuple[str, str, PrintedColumn]
"""Table, row and column in print."""


@dataclass(frozen=True)
class Measured:
    """The measured counterpart of a published cell."""

    protocol: str
    means: Mapping[str, PairMean]
    """Over the pairs that the table prints, and over pairs of different architectures."""


class Run:
    """The cells of a run that have a published counterpart."""

    def __init__(self, cells: Mapping[Place, Measured]) -> None:
        self._cells = cells

    def measure(self, pairs: str) -> Measure:
        """Differences of cells, in the mean over one choice of pairs.

        Cells of two protocols are of different test images and have no difference.
        """

        def measured(left: Term, right: Term) -> Estimate | None:
            one, other = self._mean(left, pairs), self._mean(right, pairs)
            if one is None or other is None or one[0] != other[0]:
                return None
            return difference(one[1], other[1])

        return measured

    def _mean(self, term: Term, pairs: str) -> tuple[str, PairMean] | None:
        """Protocol and statistics of a term, if all its cells are there."""
        cells = [self._cells.get((term.table, row, term.column)) for row in term.rows]
        found = [cell for cell in cells if cell is not None and pairs in cell.means]
        if len(found) < len(cells):
            return None
        return found[0].protocol, mean_over([cell.means[pairs] for cell in found])


def published_row(published: Published, table: str, attack: str) -> str | None:
    """What the paper calls an attack, or the clean row, in one of its tables."""
    return next((row for row in published.rows(table) if slug(row) == attack), None)


def published_column(published: Published, table: str, counterpart: Counterpart | None) -> PrintedColumn | None:
    """The column of a table that the plan found for one of the run's, if the paper's table has it."""
    column = PrintedColumn(counterpart.defense, counterpart.param) if counterpart else None
    return column if column in published.columns(table) else None


def run_of(published: Published, tables: Sequence[ComparedTable], cells: Mapping[str, Sequence[Content]]) -> Run:
    """Arrange a run's cells by their published counterparts.

    Args:
        published: the published numbers.
        tables: the plan's layouts of the run's tables, each with what the paper's experiment has in its place.
        cells: the contents of each table's cells, in the plan's order.
    """
    found: dict[Place, Measured] = {}
    for table in tables:
        for place, measured in _measured(published, table, cells[table.name]):
            found.setdefault(place, measured)
    return Run(found)


def _measured(published: Published, table: ComparedTable, cells: Sequence[Content]) -> Iterator[tuple[Place, Measured]]:
    """The cells of a table that have a published counterpart."""
    if isinstance(table.layout, AccuracyLayout):
        (paper,) = table.paper
        return _accuracies(published, table.layout, paper, narrowed(cells, Cell))
    return _magnitudes(published, table.layout, table.paper, narrowed(cells, TriggerStudy))


def _accuracies(
    published: Published, layout: AccuracyLayout, paper: InPrint, cells: Sequence[Cell]
) -> Iterator[tuple[Place, Measured]]:
    for (attack, counterpart), cell in zip(product(layout.rows, paper.columns), cells, strict=True):
        row = published_row(published, layout.number, attack.attack)
        column = published_column(published, layout.number, counterpart)
        if row is not None and column is not None:
            means = {PRINTED: statistics(layout, cell)}
            off_diagonal = cell.means["all"] if attack.attack == CLEAN else cell.means.get("off_diagonal")
            if off_diagonal is not None:
                means[OFF_DIAGONAL] = off_diagonal
            yield (layout.number, row, column), Measured(layout.protocol.name, means)


def _magnitudes(
    published: Published, layout: TriggerLayout, papers: Sequence[InPrint], studies: Sequence[TriggerStudy]
) -> Iterator[tuple[Place, Measured]]:
    remaining = iter(studies)
    for slot, paper in zip(layout.slots, papers, strict=True):
        row = f"trigger_mse_1e-2, {paper.protocol.dataset}"
        for counterpart in paper.columns:
            mean = _mean_magnitude(next(remaining))
            if (column := published_column(published, layout.number, counterpart)) is not None:
                means = {PRINTED: mean, OFF_DIAGONAL: mean}
                yield (layout.number, row, column), Measured(slot.protocol.name, means)


def _mean_magnitude(study: TriggerStudy) -> PairMean:
    """The mean over networks, seed by seed; no test image takes part in it, so two blocks of them agree."""
    by_seed: dict[int, list[float]] = {}
    for trigger in study.triggers:
        by_seed.setdefault(trigger.seed, []).append(SCALE * trigger.mean_square)
    per_seed = [fmean(values) for values in by_seed.values()]
    return PairMean.of(np.array([[value, value] for value in per_seed]))
