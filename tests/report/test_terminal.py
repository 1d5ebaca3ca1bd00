"""Rendered tables in a terminal: what stands where, how wide, and what is bold."""

from __future__ import annotations

import re

import pytest
from rich.console import Console

from tests.support.projects import ROOT
from trigger_activation.report.terminal import RenderedTable

MARKDOWN = r"""**Table II.** Accuracy. Of Digits\_2; networks A and B. More of this.

| Attack | w/o | Ours (fixed trigger) 4/255 |
| :-- | --: | --: |
| PGD \| 2 | 40.0† ± 9.2 | **73.0** ± 0.1 |
| DI\_FGSM | <u>8.0</u> | missing |
"""
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def printed(markdown: str, width: int = 1000, terminal: bool = False) -> str:
    console = Console(width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    with console.capture() as capture:
        console.print(RenderedTable(markdown))
    return capture.get()


def test_columns_are_aligned_below_a_short_caption() -> None:
    lines = [line.rstrip() for line in printed(MARKDOWN).splitlines()]
    assert lines == [
        "Table II. Accuracy. Of Digits_2; networks A and B.",
        "",
        "                            Ours",
        "                          (fixed",
        "                        trigger)",
        "Attack           w/o       4/255",
        "────────────────────────────────",
        "PGD | 2  40.0† ± 9.2  73.0 ± 0.1",
        "DI_FGSM          8.0     missing",
    ]


def test_bold_is_bold_in_a_terminal_only() -> None:
    shown = printed(MARKDOWN, terminal=True)
    assert "\x1b[1m73.0\x1b[0m" in shown
    assert "\x1b[4m8.0\x1b[0m" in shown
    assert "\x1b[1mOurs" not in shown
    assert "\x1b" not in printed(MARKDOWN)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_no_value_is_broken(width: int) -> None:
    markdown = (ROOT / "paper_tables/demo/table2.md").read_text(encoding="utf-8")
    shown = printed(markdown, width)
    assert max(map(len, shown.splitlines())) <= width
    values = re.findall(r"\d+\.\d†?(?: ± \d+\.\d)?", re.sub(r"\*\*|</?u>", "", markdown).partition("| Attack")[2])
    assert len(values) > 100
    assert sorted(re.findall(r"\d+\.\d†?(?: ± \d+\.\d)?", shown.partition("Attack")[2])) == sorted(values)


def test_a_caption_may_stand_alone() -> None:
    assert printed("**Figure 2.** Flipped. Half of it. All.\n") == "Figure 2. Flipped. Half of it.\n"
