"""Rendered tables in a terminal: aligned, in as many blocks as its width asks for, bold as bold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from trigger_activation.report.tables.grid import unescape_markdown

STYLES = {"**": "bold", "<u>": "underline"}
MARKED = re.compile(r"(\*\*.+?\*\*|<u>.+?</u>)")
BORDER = re.compile(r"(?<!\\)\|")
SENTENCE = re.compile(r"(?<=\.) (?=[A-Z])")
GAP = 2
"""Characters between columns."""


class RenderedTable:
    """What lies in a rendered Markdown file, be it a table or the caption of a figure.

    Args:
        markdown: a paragraph, the caption, and perhaps a table.
        sentences: of the caption that are shown.
    """

    def __init__(self, markdown: str, sentences: int = 2) -> None:
        lines = markdown.splitlines()
        self.caption = _styled(" ".join(SENTENCE.split(lines[0])[:sentences]))
        rows = [[_styled(cell.strip()) for cell in BORDER.split(line)[1:-1]] for line in lines if line.startswith("|")]
        self._header, self._rows = (rows[0], rows[2:]) if rows else ([], [])

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """The caption, and the table below it."""
        yield self.caption
        for columns in self._blocks(options.max_width):
            table = Table(
                box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style=""
            )
            for column in columns:
                table.add_column(self._header[column], justify="right", width=self._width(column), vertical="bottom")
            table.columns[0].justify = "left"
            for row in self._rows:
                table.add_row(*(row[column] for column in columns))
            yield ""
            yield table

    def _blocks(self, width: int) -> Iterator[Sequence[int]]:
        """Columns that stand side by side; each block begins with the first column, the rows' labels."""
        block = [0]
        for column in range(1, len(self._header)):
            longer = [*block, column]
            if len(block) > 1 and sum(map(self._width, longer)) + GAP * len(block) > width:
                yield block
                longer = [0, column]
            block = longer
        if self._header:
            yield block

    def _width(self, column: int) -> int:
        """Of its longest value, or of the longest word of its heading, which is broken between words."""
        words = self._header[column].plain.split()
        return max(map(len, [*words, *(row[column].plain for row in self._rows)]), default=0)


def _styled(markdown: str) -> Text:
    text = Text()
    for part in MARKED.split(markdown):
        style = next((style for mark, style in STYLES.items() if part.startswith(mark)), "")
        text.append(unescape_markdown(re.sub(r"^(\*\*|<u>)|(\*\*|</u>)$", "", part)), style)
    return text
