"""What readers see beside the tables: figures, comparisons, the page, the document."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trigger_activation.errors import UserError
from trigger_activation.report import page
from trigger_activation.report.figures import draw
from trigger_activation.report.pdf.engine import compile_pdf
from trigger_activation.report.pdf.source import assemble, figure_environment
from trigger_activation.report.published.audit import audit
from trigger_activation.report.published.comparison import Comparison, compare
from trigger_activation.report.published.numbers import parse
from trigger_activation.report.published.render import render_audit, render_comparison
from trigger_activation.report.tables import build
from trigger_activation.report.tables.grid import as_values
from trigger_activation.run.job import Job
from trigger_activation.store.atomic import replacing, write_text
from trigger_activation.store.records import read_content, read_record
from trigger_activation.store.totals import summarise


def make_comparison(job: Job) -> None:
    """Render the run beside the published numbers."""
    layouts = job.parameters["tables"]
    cells = {table["name"]: job.cells(table["name"]) for table in layouts}
    job.publish_texts(render_comparison(compare(parse(job.published("published.csv")), layouts, cells)))


def make_audit(job: Job) -> None:
    """Render the audit of the published numbers."""
    job.publish_texts(render_audit(audit(parse(job.published("published.csv")), job.published("table6.csv"))))


def make_metrics(job: Job) -> None:
    """Write every number of every table, and every parameter behind them, as YAML."""
    tables = {t["name"]: as_values(build(t["layout"], job.cells(t["name"]))) for t in job.parameters["tables"]}
    contents = {"metrics.yaml": tables, "parameters.yaml": job.parameters["settings"]}
    job.publish_texts({name: yaml.safe_dump(content, allow_unicode=True) for name, content in contents.items()})


def make_figure(job: Job) -> None:
    """Draw a figure as PDF and PNG, its caption as Markdown, both together as LaTeX."""
    figure, caption = draw(job.parameters, job.cells())
    job.begin_writing()
    for path in map(Path, job.files):
        if path.suffix == ".md":
            write_text(path, caption)
        elif path.suffix == ".tex":
            write_text(path, figure_environment(path.stem, job.parameters["number"], caption))
        else:
            save_figure(figure, path)
    job.publish_record({})


def save_figure(figure: Any, path: Path) -> None:
    """Without dates and program versions, so that the same cells give the same bytes."""
    metadata = (
        {"CreationDate": None, "Producer": None, "Creator": None} if path.suffix == ".pdf" else {"Software": None}
    )
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], metadata=metadata)


def make_run(job: Job) -> None:
    """Add up what the records of an experiment's artifacts say about time, memory and devices."""
    records = job.claimed_records("artifacts")
    for path in job.parameters["by_products"]:
        record = read_record(path)
        if record is None:
            raise UserError(f"{path} is missing, and with it the time it took: run with --config complete=true")
        records.append(record)
    job.publish_json(summarise(records))


def make_page(job: Job) -> None:
    """Put tables, figures and the story of every cell on one page."""
    job.records("tables")  # The page links to them, and shows what they show.
    cells = {record.path: page.Cell(record, read_content(record.path)) for record in job.records("cells")}
    figures = [
        page.figure(
            shown, cells, path.with_suffix(".md").read_text(encoding="utf-8"), path.with_suffix(".png").read_bytes()
        )
        for shown, path in zip(job.parameters["figures"], (Path(r.path) for r in job.records("figures")), strict=True)
    ]
    built = page.build(job.parameters, cells, figures, job.optional_content("run"), _compared(job, cells))
    job.publish_texts({Path(job.spec.path).name: page.render(built)})


def _compared(job: Job, cells: Mapping[str, page.Cell]) -> Comparison | None:
    """The run beside the published numbers, where the experiment asks for that."""
    papers, tables = job.parameters["papers"], job.parameters["tables"]
    if not papers:
        return None
    layouts = [{**table, "paper": papers[table["name"]]} for table in tables if table["name"] in papers]
    contents = {table["name"]: [cells[path].content for path in table["cells"]] for table in layouts}
    return compare(parse(job.published("published.csv")), layouts, contents)


def make_pdf(job: Job) -> None:
    """Compile all tables and figures into one document."""
    for role in ("tables", "figures"):
        job.records(role)
    folder = str(Path(job.spec.path).parent)
    source = assemble(job.parameters["title"], folder, [(name, number) for name, number in job.parameters["entries"]])
    with tempfile.TemporaryDirectory(prefix="trigact-") as scratch:
        compiled = compile_pdf(source, Path(scratch)).read_bytes()
    job.begin_writing()
    with replacing(Path(job.spec.path)) as temporary:
        temporary.write_bytes(compiled)
    job.publish_record({})
