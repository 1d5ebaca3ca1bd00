"""What several figures share: rows of cells, captions, the sizes of text."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.textpath import TextPath

from trigger_activation.plan.contents import Cell
from trigger_activation.plan.layouts import AccuracyLayout, Layout
from trigger_activation.report.tables.accuracy import in_rows
from trigger_activation.report.tables.facts import (
    changed_parameters,
    column_seeds,
    data_and_networks,
    seeds_used,
    substitutes,
    threat_model,
)
from trigger_activation.report.tables.grid import escape_markdown

PAGE = 7.0
"""Width in inches of a figure across the page."""
SMALL = 6.0
"""The smallest text, in points."""


def rows_of(table: AccuracyLayout, cells: Sequence[Cell]) -> list[Sequence[Cell]]:
    """The cells of an accuracy table row by row."""
    return in_rows(cells, len(table.columns))


def table_facts(table: AccuracyLayout, images: int, spread: str) -> list[str]:
    """Sentences that say what an accuracy table was really made with, and what its seeds show as."""
    return [
        data_and_networks(table.protocol),
        threat_model(table.protocol, images),
        *changed_parameters(table.changes),
        *substitutes(table.substitutes),
        seeds_used(column_seeds(table.columns), spread),
    ]


def caption(layout: Layout, sentences: Sequence[str]) -> str:
    """The caption in Markdown: number, title, and sentences about what the figure shows."""
    text = " ".join([f"{layout.title}.", *sentences])
    return f"**Figure {layout.number}.** {escape_markdown(text)}\n"


def text_width(text: str, size: float = SMALL) -> float:
    """Width of one line in points."""
    return float(TextPath((0, 0), text, size=size).get_extents().width) if text.strip() else 0.0


def wrapped(text: str, width: float, size: float = SMALL) -> list[str]:
    """The words of a text in lines no wider than so many points, unless a single word is."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, its first column at the left."""
    alignment = [":--", *["--:"] * (len(headers) - 1)]
    lines = [map(escape_markdown, headers), alignment, *(map(escape_markdown, row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
