"""Tables, alone in their module: one is there in seconds, since nothing is imported that only others need."""

from __future__ import annotations

from pathlib import Path

from trigger_activation.plan.contents import Content
from trigger_activation.plan.layouts import AnyTableLayout
from trigger_activation.report.tables import render
from trigger_activation.run.job import Job


def make_table(job: Job[AnyTableLayout]) -> None:
    """Render a table as LaTeX, CSV and Markdown."""
    cells: list[Content | None] = [*job.contents("cells")]
    for position in job.parameters.missing:
        cells.insert(position, None)
    rendered = render(job.parameters, cells)
    job.publish_texts({Path(path).name: rendered[Path(path).suffix] for path in job.files})
