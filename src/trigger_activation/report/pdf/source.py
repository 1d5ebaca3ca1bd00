"""LaTeX of the document and of figures in it."""

from __future__ import annotations

from collections.abc import Sequence

from trigger_activation.report.tables.grid import latex_environment, unescape_markdown

Entry = tuple[str, str]
"""Name of a table's or a figure's LaTeX file without suffix, and its number in print."""


def assemble(title: str, folder: str, entries: Sequence[Entry]) -> str:
    """The LaTeX source of the document.

    Args:
        title: of the document.
        folder: where the tables and figures lie, seen from where LaTeX runs.
        entries: in the order of the document.
    """
    return _render("paper.tex.j2", title=title, folder=folder, entries=entries)


def figure_environment(name: str, number: str, markdown: str) -> str:
    """A LaTeX figure.

    Args:
        name: of its PDF file without suffix.
        number: of the figure.
        markdown: its caption file, whose first line is the caption.
    """
    caption = unescape_markdown(markdown.partition("\n")[0]).removeprefix(f"**Figure {number}.** ")
    return _render("figure.tex.j2", name=name, number=number, caption=caption)


def _render(template: str, **values: object) -> str:
    return latex_environment("trigger_activation.report.pdf").get_template(template).render(**values)
