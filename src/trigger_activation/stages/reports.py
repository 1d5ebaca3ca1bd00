"""What readers see: tables, figures, comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trigger_activation.figures import draw
from trigger_activation.job import Job
from trigger_activation.published.audit import audit
from trigger_activation.published.comparison import compare
from trigger_activation.published.numbers import parse
from trigger_activation.published.render import render_audit, render_comparison
from trigger_activation.storage.atomic import replacing, write_text
from trigger_activation.tables import render


def make_table(job: Job) -> None:
    """Render a table as LaTeX, CSV and Markdown."""
    rendered = render(job.parameters, job.cells())
    job.publish_texts({Path(path).name: rendered[Path(path).suffix] for path in job.files})


def make_comparison(job: Job) -> None:
    """Render the run beside the published numbers."""
    layouts = job.parameters["tables"]
    cells = {table["name"]: job.cells(table["name"]) for table in layouts}
    job.publish_texts(render_comparison(compare(parse(job.published("published.csv")), layouts, cells)))


def make_audit(job: Job) -> None:
    """Render the audit of the published numbers."""
    job.publish_texts(render_audit(audit(parse(job.published("published.csv")), job.published("table6.csv"))))


def make_figure(job: Job) -> None:
    """Draw a figure as PDF and PNG, its caption as Markdown."""
    figure, caption = draw(job.parameters, job.cells())
    job.begin_writing()
    for path in job.files:
        if path.endswith(".md"):
            write_text(Path(path), caption)
        else:
            save_figure(figure, Path(path))
    job.publish_record({})


def save_figure(figure: Any, path: Path) -> None:
    """Without dates and program versions, so that the same cells give the same bytes."""
    metadata = (
        {"CreationDate": None, "Producer": None, "Creator": None} if path.suffix == ".pdf" else {"Software": None}
    )
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], metadata=metadata)
