"""What readers see beside the tables: figures, comparisons, the page, the document."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trigger_activation.errors import UserError
from trigger_activation.plan.contents import Content, Findings
from trigger_activation.plan.layouts import AccuracyLayout, AnyFigureLayout, ComparedTable, PageFigure, TriggerLayout
from trigger_activation.plan.recipes import (
    AuditParameters,
    ComparisonParameters,
    FindingsParameters,
    MetricsParameters,
    PageParameters,
    PdfParameters,
    RunParameters,
)
from trigger_activation.plan.reports import PUBLISHED, WORDS
from trigger_activation.report import page
from trigger_activation.report.figures import draw
from trigger_activation.report.headline import headline
from trigger_activation.report.pdf.latex import compile_pdf
from trigger_activation.report.pdf.source import Report, assemble, figure_environment, references, shown
from trigger_activation.report.published.audit import audit
from trigger_activation.report.published.comparison import Comparison, compare
from trigger_activation.report.published.findings import find
from trigger_activation.report.published.numbers import Published, parse
from trigger_activation.report.published.render import render_audit, render_comparison
from trigger_activation.report.tables import build
from trigger_activation.report.tables.grid import as_values
from trigger_activation.run.job import Job
from trigger_activation.store.atomic import replacing, write_text
from trigger_activation.store.documents import Document
from trigger_activation.store.records import read_record
from trigger_activation.store.totals import summarise


def make_comparison(job: Job[ComparisonParameters]) -> None:
    """Render the run beside the published numbers."""
    tables = job.parameters.tables
    cells = {table.name: job.contents(table.name) for table in tables}
    compared = compare(_published(job), tables, cells)
    job.publish_texts(render_comparison(compared, job.parameters.paper, _found(job, tables, cells)))


def make_findings(job: Job[FindingsParameters]) -> None:
    """Say what an experiment found."""
    tables = job.parameters.tables
    job.publish_json(_found(job, tables, {table.name: job.contents(table.name) for table in tables}))


def _found(
    job: Job[ComparisonParameters] | Job[FindingsParameters],
    tables: Sequence[ComparedTable],
    cells: Mapping[str, Sequence[Content]],
) -> Findings:
    published = _published(job)
    checks = audit(published, job.published(WORDS, job.parameters.published[WORDS]))
    return find(published, checks, tables, cells)


def make_audit(job: Job[AuditParameters]) -> None:
    """Render the audit of the published numbers."""
    words = job.published(WORDS, job.parameters.published[WORDS])
    job.publish_texts(render_audit(audit(_published(job), words)))


def make_metrics(job: Job[MetricsParameters]) -> None:
    """Write every number of every table, the few that matter most, and every parameter behind them, as YAML."""
    given = job.parameters
    cells = {table.name: job.contents(table.name) for table in given.tables}
    layouts = {table.name: table.layout for table in given.tables}
    contents = {
        "metrics.yaml": {name: as_values(build(layout, cells[name])) for name, layout in layouts.items()},
        "headline.yaml": headline(layouts, cells),
        "parameters.yaml": given.settings,
    }
    job.publish_texts({name: yaml.safe_dump(content, allow_unicode=True) for name, content in contents.items()})


def make_figure(job: Job[AnyFigureLayout]) -> None:
    """Draw a figure as PDF and PNG, its caption as Markdown, both together as LaTeX."""
    figure, caption = draw(job.parameters, job.contents("cells"))
    job.begin_writing()
    for path in map(Path, job.files):
        if path.suffix == ".md":
            write_text(path, with_picture(caption, path.stem))
        elif path.suffix == ".tex":
            write_text(path, figure_environment(path.stem, job.parameters.number, caption))
        else:
            save_figure(figure, path)
    job.publish_record({})


def with_picture(caption: str, name: str) -> str:
    """A figure's Markdown: caption, picture, and the numbers below it, if there are any."""
    first, _, rest = caption.partition("\n")
    return f"{first}\n\n![Figure]({name}.svg)\n{rest}"


ANONYMOUS = {
    ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
}
"""Suffix -> what matplotlib leaves out of a file."""


def save_figure(figure: Any, path: Path) -> None:
    """Without dates and program versions, so that the same cells give the same bytes."""
    metadata = ANONYMOUS[path.suffix]
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], metadata=metadata)


def make_run(job: Job[RunParameters]) -> None:
    """Add up what the records of an experiment's artifacts say about time, memory and devices."""
    records = job.claimed_records("artifacts")
    for path in job.parameters.by_products:
        record = read_record(path)
        if record is None:
            raise UserError(f"{path} is missing, and with it the time it took: run with --config complete=true")
        records.append(record)
    job.publish_json(summarise(records))


def make_page(job: Job[PageParameters]) -> None:
    """Put tables, figures and the story of every cell on one page."""
    job.records("tables")  # The page links to them, and shows what they show.
    cells = {document.record.path: document for document in job.documents("cells")}
    figures = [
        _shown_figure(figure, cells, Path(record.path))
        for figure, record in zip(job.parameters.figures, job.records("figures"), strict=True)
    ]
    account = job.optional_document("run")
    run = (account[0].content, account[1]) if account else None
    found = job.contents("findings")
    built = page.build(job.parameters, cells, figures, run, _compared(job, cells), found[0] if found else None)
    job.publish_texts({Path(job.spec.path).name: page.render(built)})


def _shown_figure(figure: PageFigure, cells: Mapping[str, Document], path: Path) -> page.Figure:
    """A figure and its caption, as they were rendered."""
    caption = path.with_suffix(".md").read_text(encoding="utf-8")
    return page.figure(figure, cells, caption, path.with_suffix(".svg").read_text(encoding="utf-8"))


def _compared(job: Job[PageParameters], cells: Mapping[str, Document]) -> Comparison | None:
    """The run beside the published numbers, where the experiment asks for that."""
    papers = job.parameters.papers
    if not papers:
        return None
    shown = [table for table in job.parameters.tables if table.name in papers]
    tables = [
        ComparedTable(name=table.name, layout=layout, paper=papers[table.name])
        for table in shown
        if isinstance(layout := table.layout, AccuracyLayout | TriggerLayout)
    ]
    contents = {table.name: [cells[path].content for path in table.cells] for table in shown}
    return compare(_published(job), tables, contents)


def _published(
    job: Job[AuditParameters] | Job[ComparisonParameters] | Job[FindingsParameters] | Job[PageParameters],
) -> Published:
    return parse(job.published(PUBLISHED, job.parameters.published[PUBLISHED]))


def make_pdf(job: Job[PdfParameters]) -> None:
    """Compile what was found, all tables and all figures into one document."""
    for role in ("tables", "figures"):
        job.records(role)
    given, folder = job.parameters, Path(job.spec.path).parent
    captions = {name: (folder / f"{name}.md").read_text(encoding="utf-8") for name, _ in given.entries}
    found = job.contents("findings")
    account = job.optional_document("run") if job.spec.optional else None
    source = assemble(
        Report(
            experiment=given.experiment,
            title=given.title,
            folder=str(folder),
            shown=[shown(name, number, captions[name]) for name, number in given.entries],
            paper=given.paper,
            findings=found[0] if found else None,
            protocols=given.protocols,
            references=references(captions.values()),
            run=account[0].content if account and account[1] else None,
        )
    )
    with tempfile.TemporaryDirectory(prefix="trigact-") as scratch:
        compiled = compile_pdf(source, Path(scratch)).read_bytes()
    job.begin_writing()
    with replacing(Path(job.spec.path)) as temporary:
        temporary.write_bytes(compiled)
    job.publish_record({})
