"""The ranking of all defenses that a page opens its tables with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trigger_activation.plan.contents import Content, CostStudy
from trigger_activation.plan.layouts import AccuracyLayout, CostLayout, PageTable
from trigger_activation.report.addresses import address, column_keys
from trigger_activation.report.narrowing import narrowed
from trigger_activation.report.published.comparison import TableInPrint
from trigger_activation.report.standings import Score, Standing, ranked_tables, standings

Costs = Mapping[tuple[str, str], CostStudy]
"""Protocol and column -> what the defense costs."""


@dataclass(frozen=True)
class Place:
    """A number of the ranking, and where it stands on the page."""

    score: Score
    address: str


@dataclass(frozen=True)
class Leader:
    """One defense on one data set."""

    dataset: str
    label: str
    clean: Place
    mean: Place
    worst: Place
    training: float | None
    """Training time over that of the undefended network."""
    test: float | None
    """Test time of the largest batch over that of the undefended network."""


def leaders(
    tables: Sequence[PageTable], contents: Mapping[str, Content], in_print: Mapping[str, TableInPrint]
) -> list[Leader]:
    """All defenses of all data sets, those that keep most under attack first.

    Args:
        tables: of the page.
        contents: of cells, by path.
        in_print: the comparison of each table with the published one, by name.
    """
    costs = _costs(tables, contents)
    wanted = ranked_tables(table.layout for table in tables)
    found: list[Leader] = []
    for table in tables:
        if isinstance(table.layout, AccuracyLayout) and table.layout in wanted:
            published = in_print.get(table.name)
            cells = [contents[path] for path in table.cells]
            ranked = standings(table.layout, cells, published.in_print if published else None)
            keys = column_keys(table.layout.columns)
            rows = [_leader(table.name, table.layout, each, key, costs) for each, key in zip(ranked, keys, strict=True)]
            found += sorted(rows, key=lambda leader: -leader.mean.score.measured)
    return found


def _leader(name: str, layout: AccuracyLayout, standing: Standing, key: str, costs: Costs) -> Leader:
    def place(score: Score, row: str) -> Place:
        return Place(score, address(name, row, key) if row else name)

    its, undefended = (costs.get((layout.protocol.name, column)) for column in (standing.column.name, "none"))
    return Leader(
        dataset=layout.protocol.dataset,
        label=standing.column.label if not standing.column.group.startswith("Ours") else standing.column.full,
        clean=place(standing.clean, standing.clean.row),
        mean=place(standing.mean, "Mean" if layout.mean_row else ""),
        worst=place(standing.worst, standing.worst.row),
        training=its.training.seconds / undefended.training.seconds if its and undefended else None,
        test=its.timings[-1].milliseconds / undefended.timings[-1].milliseconds if its and undefended else None,
    )


def _costs(tables: Iterable[PageTable], contents: Mapping[str, Content]) -> Costs:
    found: dict[tuple[str, str], CostStudy] = {}
    for table in tables:
        if isinstance(table.layout, CostLayout):
            studies = iter(narrowed([contents[path] for path in table.cells], CostStudy))
            for slot in table.layout.slots:
                found |= {(slot.protocol.name, column.name): next(studies) for column in slot.columns}
    return found
