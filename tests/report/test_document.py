"""The PDF of all tables and figures."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.pages import make
from trigger_activation.errors import UserError
from trigger_activation.plan import Plan
from trigger_activation.report.pdf import latex
from trigger_activation.report.pdf.source import assemble, figure_environment


@pytest.fixture(scope="module")
def compiled(results_page: tuple[Plan, Path]) -> Path:
    plan, page = results_page
    here = Path.cwd()
    os.chdir(page.parents[2])
    try:
        make(plan, "paper_tables/gallery/paper.pdf")
    finally:
        os.chdir(here)
    return page.with_name("paper.pdf")


@pytest.mark.latex
def test_tables_and_figures_stand_in_the_papers_order_under_its_numbers(compiled: Path) -> None:
    text = subprocess.run(["pdftotext", "-raw", compiled, "-"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^\f?(Table [IVX]+|Figure \d+): ", text, re.MULTILINE)
    assert found == ["Table I", "Figure 2", "Table II", "Table V", "Table VIII", "Figure 3", "Table XI"]


@pytest.mark.latex
def test_the_same_source_gives_the_same_bytes(compiled: Path, results_page: tuple[Plan, Path]) -> None:
    before = compiled.read_bytes()
    here = Path.cwd()
    os.chdir(compiled.parents[2])
    try:
        make(results_page[0], "paper_tables/gallery/paper.pdf")
    finally:
        os.chdir(here)
    assert compiled.read_bytes() == before


def document(tmp_path: Path, body: str) -> str:
    (tmp_path / "x.tex").write_text(body)
    return assemble("Title & more", str(tmp_path), [("x", "I")])


@pytest.mark.latex
@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (r"\noindent\rule{30cm}{1pt}", "wider than the page"),
        (r"\undefinedmacro", "Undefined control sequence"),
        (r"\includegraphics{absent}", "absent"),
    ],
)
def test_what_does_not_fit_or_compile_is_refused(tmp_path: Path, body: str, complaint: str) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(UserError, match=complaint):
        latex.compile_pdf(document(tmp_path, body), scratch)


def test_without_latex_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"needs pdflatex, which is not installed: install TeX Live \(on Debian"):
        latex.compile_pdf("", tmp_path)


def test_captions_of_figures_are_plain_text_for_latex() -> None:
    text = figure_environment("figure2", "2", "**Figure 2.** Share \\*of\\* f(x + τ) & 5 %\\_.\n\n| a | b |\n")
    assert r"\caption{Share *of* f(x + $\tau$) \& 5 \%\_.}" in text
    assert r"\includegraphics{figure2.pdf}" in text
