"""What a results page shows, from layouts, cells and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from trigger_activation.plan.config.paper import Paper
from trigger_activation.plan.contents import Findings, RunTotals, Verdict
from trigger_activation.plan.layouts import (
    AccuracyLayout,
    AnyTableLayout,
    CostLayout,
    Facts,
    LeftOut,
    PageFigure,
    PageTable,
    TriggerLayout,
    protocols_of,
)
from trigger_activation.plan.order import in_print
from trigger_activation.plan.recipes import PageParameters
from trigger_activation.report.addresses import address, column_keys
from trigger_activation.report.figures import DESCRIPTIONS
from trigger_activation.report.figures.svg import embedded
from trigger_activation.report.page.beside import Beside, beside
from trigger_activation.report.page.details import Labels, Sheet, sheets
from trigger_activation.report.page.leaders import Leader, leaders
from trigger_activation.report.published.comparison import Comparison
from trigger_activation.report.published.findings import by_outcome
from trigger_activation.report.tables import build as build_table
from trigger_activation.report.tables.grid import Entry, Grid, Header, Row, unescape_markdown
from trigger_activation.report.wording import folded, sentences
from trigger_activation.science.sanity import SanityLimits
from trigger_activation.store.documents import Document


@dataclass(frozen=True)
class Figure:
    """A rendered figure."""

    name: str
    number: str
    title: str
    caption: str
    """Plain text, without number and title."""
    picture: str
    """An SVG element."""
    cells: Sequence[str]
    """Paths of what it is drawn from."""

    @property
    def folded(self) -> tuple[str, str]:
        """The caption's first sentences and the rest."""
        return folded(sentences(self.caption.removeprefix(f"{self.title}. ")))


def figure(shown: PageFigure, cells: Mapping[str, Document], markdown: str, picture: str) -> Figure:
    """A figure as the page shows it.

    Args:
        shown: its entry in the parameters of the page.
        cells: by path; all that it is drawn from.
        markdown: its caption file.
        picture: its SVG file.
    """
    layout = shown.layout
    description = DESCRIPTIONS[layout.kind](layout, [cells[path].content for path in shown.cells])
    caption = unescape_markdown(markdown.partition("\n")[0]).removeprefix(f"**Figure {layout.number}.** ")
    drawn = embedded(picture, shown.name, description)
    return Figure(shown.name, layout.number, layout.title, caption, drawn, shown.cells)


@dataclass(frozen=True)
class TableOnPage:
    """A table as it is printed, and the published values beside it."""

    name: str
    grid: Grid
    beside: Beside = field(default_factory=dict)

    @property
    def number(self) -> str:
        """Of the table."""
        return self.grid.number

    @property
    def title(self) -> str:
        """With the data set."""
        return self.grid.title

    @property
    def folded(self) -> tuple[str, str]:
        """The caption's first sentences and the rest."""
        return folded(self.grid.notes)

    @cached_property
    def keys(self) -> list[str]:
        """Of the columns, in addresses."""
        return column_keys(self.grid.headers)

    def address(self, row: Row, position: int) -> str:
        """Of one number."""
        return address(self.name, row.label, self.keys[position])

    @cached_property
    def kept(self) -> set[int]:
        """Positions of the last columns with the paper's own method, which stay in view where a table scrolls."""
        ours = {at for at, header in enumerate(self.grid.headers) if header.full.startswith("Ours")}
        last = set(range(len(self.grid.headers) - 2, len(self.grid.headers)))
        return ours & last if 2 * len(ours) < len(self.grid.headers) else set()

    @property
    def body(self) -> list[Row]:
        """Rows that may be sorted."""
        return [row for row in self.grid.rows if not row.summary]

    @property
    def foot(self) -> list[Row]:
        """Rows that sum up the others."""
        return [row for row in self.grid.rows if row.summary]

    @property
    def grouped(self) -> bool:
        """Whether some columns share a heading."""
        return any(header.group for header in self.grid.headers)

    def spreads(self, position: int) -> bool:
        """Whether a column has an entry with a deviation, so that the others leave room for one."""
        return any(row.entries[position].spread for row in self.grid.rows)

    def comparison(self, row: Row, header: Header, entry: Entry) -> str | None:
        """What the paper prints in the place of an entry."""
        return None if isinstance(entry.value, str) else self.beside.get((self.name, row.label, header.full))


@dataclass(frozen=True)
class Detail:
    """What the page's script shows of one cell."""

    path: str
    recipe: str
    sheets: Sequence[Sheet]
    own: Sequence[tuple[str, str]]
    """Its own parameters."""
    behind: Sequence[int]
    """Positions in the page's settings of what stands behind it."""


@dataclass(frozen=True)
class Page:
    """Everything on a page."""

    experiment: str
    title: str
    paper: Paper | None
    """Which is compared with, if one is."""
    findings: Findings | None
    leaders: Sequence[Leader]
    tables: Sequence[TableOnPage]
    figures: Sequence[Figure]
    protocols: Sequence[Facts]
    substitutes: Mapping[str, Sequence[str]]
    """Helper network trained here -> labels of what consults it."""
    left_out: LeftOut
    run: RunTotals | None
    """The content of ``run.json``; None where there is none."""
    run_is_current: bool
    """Whether that run was of the config that the page was made with."""
    cells: Sequence[Detail]
    """Those that tables show."""
    settings: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    """Titles and parameters that cells refer to by position."""

    @property
    def shown(self) -> list[TableOnPage | Figure]:
        """Tables and figures in the paper's order."""
        return sorted([*self.tables, *self.figures], key=lambda shown: in_print(shown.name))

    @property
    def hero(self) -> Figure | None:
        """The picture of what a trigger is, if the experiment draws it."""
        return next((figure for figure in self.figures if figure.number == "1"), None)

    @property
    def verdicts(self) -> list[tuple[str, list[Verdict]]]:
        """Outcomes in this run, and the statements that come to them."""
        return by_outcome(self.findings.verdicts if self.findings else ())

    @property
    def positions(self) -> dict[str, int]:
        """Path of a cell -> its position."""
        return {cell.path: position for position, cell in enumerate(self.cells)}

    @property
    def data(self) -> dict[str, Any]:
        """What the script reads."""
        return {"cells": [asdict(cell) for cell in self.cells], "settings": self.settings}


def build(
    parameters: PageParameters,
    cells: Mapping[str, Document],
    figures: Sequence[Figure] = (),
    run: tuple[RunTotals, bool] | None = None,
    comparison: Comparison | None = None,
    findings: Findings | None = None,
) -> Page:
    """Collect what a page shows.

    Args:
        parameters: those of the page in the plan.
        cells: by path; all that the tables show.
        figures: as rendered.
        run: the content of ``run.json``, and whether it is of the recipe planned.
        comparison: with the published numbers, if there is one.
        findings: what the experiment found, if it says so.
    """
    told = beside(comparison, parameters.papers) if comparison else {}
    tables = [TableOnPage(table.name, _grid(table, cells), told) for table in parameters.tables]
    layouts = [table.layout for table in parameters.tables]
    protocols = protocols_of(layouts)
    return Page(
        experiment=parameters.experiment,
        title=parameters.title,
        paper=parameters.paper,
        findings=findings,
        leaders=leaders(
            parameters.tables,
            {path: document.content for path, document in cells.items()},
            {table.name: table for table in comparison.tables} if comparison else {},
        ),
        tables=tables,
        figures=figures,
        protocols=protocols,
        substitutes=_substitutes(layouts),
        left_out=parameters.left_out,
        run=run[0] if run else None,
        run_is_current=run is not None and run[1],
        cells=_details(parameters, cells, tables, protocols),
        settings=[(title, flattened(values)) for title, values in parameters.settings],
    )


def _grid(table: PageTable, cells: Mapping[str, Document]) -> Grid:
    return build_table(table.layout, [cells[path].content for path in table.cells])


def _details(
    parameters: PageParameters, cells: Mapping[str, Document], tables: Iterable[TableOnPage], protocols: Iterable[Facts]
) -> list[Detail]:
    """Of each cell that some entry of a table is computed from."""
    labels = {name: label for protocol in protocols for name, label in protocol.networks.items()}
    limits = _limits(parameters.tables)
    shown = dict.fromkeys(path for t in tables for row in t.grid.rows for e in row.entries for path in e.sources)
    return [_detail(cells[path], parameters.behind[path], labels, limits.get(path)) for path in shown]


def _limits(tables: Iterable[PageTable]) -> dict[str, SanityLimits]:
    """Path of a cell -> the limits of its protocol, for tables of one protocol."""
    return {
        path: table.layout.protocol.sanity
        for table in tables
        if not isinstance(table.layout, TriggerLayout | CostLayout)
        for path in table.cells
    }


def _detail(cell: Document, behind: Sequence[int], labels: Labels, limits: SanityLimits | None) -> Detail:
    record = cell.record
    return Detail(
        path=record.path,
        recipe=record.recipe,
        sheets=sheets(cell.content, labels, limits),
        own=flattened({**record.parameters, "versions": record.versions}),
        behind=behind,
    )


def _substitutes(layouts: Iterable[AnyTableLayout]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for layout in (layout for layout in layouts if isinstance(layout, AccuracyLayout)):
        for helper, labels in layout.substitutes.items():
            found[helper] = list(dict.fromkeys([*found.get(helper, []), *labels]))
    return found


def flattened(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested parameters as lines: ``attack.steps`` and ``20``."""
    lines = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += flattened(value, f"{prefix}{key}.")
        else:
            lines.append((f"{prefix}{key}", _text(value)))
    return lines


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if value is None:
        return "–"
    return {"True": "yes", "False": "no"}.get(str(value), str(value))
