"""The last lines of a run: what was rendered, what was found, and where to look."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from trigger_activation.plan.contents import Findings
from trigger_activation.store.documents import read_document

FEW = 3
"""Rendered files that are listed; more are counted."""
WIDTH = 100
"""Characters of a line, at most."""
SENTENCES = 2
"""Of the findings' headline that are told: the main result, and how many of the paper's statements hold."""


def last_lines(experiment: str, targets: Mapping[str, str], rendered: Sequence[str]) -> list[str]:
    """What a reader should see last.

    Args:
        experiment: that was run.
        targets: name -> path of its tables, figures and reports.
        rendered: paths of what this run rendered.
    """
    if not rendered:
        return []
    return [*_rendered(rendered), *_found(targets.get("findings"), rendered), _where(experiment, targets.get("page"))]


def _rendered(paths: Sequence[str]) -> list[str]:
    if len(paths) > FEW:
        folders = sorted({str(Path(path).parent) for path in paths})
        return [f"Rendered {len(paths)} tables, figures and reports in {', '.join(folders)}."]
    return ["Rendered:", *(f"  {path}" for path in sorted(paths))]


def _found(findings: str | None, rendered: Sequence[str]) -> list[str]:
    """The first sentences of the findings, where they were rendered now."""
    document = read_document(findings) if findings in rendered and findings else None
    if document is None or not isinstance(document.content, Findings):
        return []
    told = document.content.headline[:SENTENCES]
    return ["", "What was found:", *(_wrapped(sentence) for sentence in told), ""]


def _wrapped(sentence: str) -> str:
    return textwrap.fill(sentence, WIDTH, initial_indent="- ", subsequent_indent="  ")


def _where(experiment: str, page: str | None) -> str:
    shows = f"`trigact show {experiment}` prints the tables here."
    return f"Open {page} in a browser; {shows}" if page and Path(page).exists() else shows
