"""A table before it is rendered, and its renderings."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

LATEX_SPECIALS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": "$|$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "–": "--",
    "α": r"$\alpha$",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
    "δ": r"$\delta$",
    "ε": r"$\varepsilon$",
    "∇": r"$\nabla$",
    "‖": r"$\|$",
    "₁": r"$_1$",
    "ₜ": r"$_t$",
    "−": r"$-$",
    "≥": r"$\ge$",
    "⟨": r"$\langle$",
    "⟩": r"$\rangle$",
    "[": "{[}",
    "†": r"$^{\dagger}$",
    "²": r"$^2$",
    "⁻": r"$^{-}$",
}
MISSING = "missing"
"""What stands for a number that is not there."""

MARKDOWN_SPECIALS = {character: f"\\{character}" for character in "\\|*_`<[]"}


@dataclass(frozen=True)
class Entry:
    """One printed value."""

    value: float | str
    """A number, a verdict, or that it is missing."""
    decimals: int = 0
    deviation: float | None = None
    """Sample standard deviation over seeds, or over repeats of a timing; of a difference, half of its interval."""
    mark: str = ""
    """``best``, ``second``, ``decided`` (of a difference: not zero) or nothing."""
    sources: tuple[str, ...] = ()
    """The paths of the cells that it is computed from."""
    failed: bool = False
    """Whether one of them fails a sanity check."""
    signed: bool = False
    """Whether positive numbers have their sign, as differences do."""

    @property
    def text(self) -> str:
        """The verdict, or the number with the table's decimals."""
        if isinstance(self.value, str):
            return self.value
        rounded = round(self.value, self.decimals) + 0.0  # no negative zero
        return f"{rounded:{'+' if self.signed else ''}.{self.decimals}f}"

    @property
    def spread(self) -> str | None:
        """The deviation with the table's decimals."""
        return None if self.deviation is None else f"{self.deviation:.{self.decimals}f}"


@dataclass(frozen=True)
class Row:
    """A labelled row; ``ruled`` draws a line above it."""

    label: str
    entries: Sequence[Entry]
    ruled: bool = False
    summary: bool = False
    """Sums up the rows above it, so it stays last in whatever order they stand."""


@dataclass(frozen=True)
class Header:
    """A column's heading, and the heading it shares with its neighbours."""

    label: str
    group: str = ""

    @property
    def full(self) -> str:
        """Both headings in one line."""
        return f"{self.group} {self.label}".strip()


@dataclass(frozen=True)
class Grid:
    """Everything that the renderings show."""

    number: str
    title: str
    notes: Sequence[str]
    """Sentences below the title: what was really used."""
    corner: str
    headers: Sequence[Header]
    rows: Sequence[Row]
    records: Sequence[dict[str, Any]] = field(default_factory=list)
    """The same values in long form, unrounded, for the CSV file."""

    @property
    def caption(self) -> str:
        """Title and notes as one paragraph."""
        return " ".join([f"{self.title}.", *self.notes])

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Adjacent columns of one group: its heading and how many they are."""
        return [(group, len(list(columns))) for group, columns in groupby(self.headers, lambda h: h.group)]

    @property
    def group_rules(self) -> list[tuple[int, int]]:
        """First and last LaTeX column (the row labels are column 1) below each group heading."""
        rules, first = [], 2
        for group, span in self.groups:
            if group:
                rules.append((first, first + span - 1))
            first += span
        return rules


def significant(value: float, digits: int = 3, sources: tuple[str, ...] = ()) -> Entry:
    """A number with so many significant digits; none after the point where there are enough before it."""
    decimals = max(0, digits - 1 - math.floor(math.log10(value))) if value > 0 else digits - 1
    return Entry(value, decimals, sources=sources)


def escape_latex(text: str) -> str:
    """Make text safe for LaTeX."""
    return "".join(LATEX_SPECIALS.get(character, character) for character in text)


def escape_markdown(text: str) -> str:
    """Make text safe for a Markdown table."""
    return "".join(MARKDOWN_SPECIALS.get(character, character) for character in text)


def unescape_markdown(text: str) -> str:
    """What :func:`escape_markdown` was given."""
    return re.sub(r"\\(.)", r"\1", text)


def latex_environment(package: str) -> Environment:
    """Templates of a package, with delimiters that LaTeX does not use."""
    environment = Environment(
        loader=PackageLoader(package),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    environment.filters |= {"latex": escape_latex, "markdown": escape_markdown}
    return environment


def as_values(grid: Grid) -> dict[str, dict[str, float | str]]:
    """Row -> column -> what stands there, numbers to six digits after the point."""
    return {
        row.label: {
            header.full: entry.value if isinstance(entry.value, str) else round(entry.value, 6)
            for header, entry in zip(grid.headers, row.entries, strict=True)
        }
        for row in grid.rows
    }


def render_grid(grid: Grid) -> dict[str, str]:
    """LaTeX, Markdown and CSV by file suffix."""
    environment = latex_environment("trigger_activation.report.tables")
    rendered = {
        f".{suffix}": environment.get_template(f"table.{suffix}.j2").render(grid=grid) for suffix in ("tex", "md")
    }
    return {**rendered, ".csv": pd.DataFrame(list(grid.records)).to_csv(index=False, lineterminator="\n")}
