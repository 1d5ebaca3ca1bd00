"""The PDF: what was found, all tables and all figures."""

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
from trigger_activation.report.pdf.source import Report, assemble, figure_environment, references, shown
from trigger_activation.store.records import read_content


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


def told_by(*command: object) -> str:
    """What a program of poppler prints."""
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout


@pytest.mark.latex
def test_tables_and_figures_stand_in_the_papers_order_under_its_numbers(compiled: Path) -> None:
    found = re.findall(r"^\f?(Table [IVX]+|Figure \d+): ", told_by("pdftotext", "-raw", compiled, "-"), re.MULTILINE)
    assert found == ["Table I", "Figure 2", "Table II", "Table V", "Table VIII", "Figure 3", "Table XI"]


@pytest.mark.latex
def test_it_is_a_report(compiled: Path, results_page: tuple[Plan, Path]) -> None:
    text = " ".join(told_by("pdftotext", compiled, "-").split())
    paper = results_page[0]["paper_tables/gallery/paper.pdf"].parameters.paper
    assert all(author in text for author in paper.authors)
    found = read_content(str(compiled.with_name("findings.json")))
    for part in ("Abstract", "Protocol", "Differences from the paper", "The paper’s statements", "References"):
        assert part in text
    for outcome in {verdict["here"] for verdict in found["verdicts"]}:
        count = sum(verdict["here"] == outcome for verdict in found["verdicts"])
        assert f"{outcome.capitalize()} here: {count}" in text
    assert "Madry et al.: Towards Deep Learning Models" in text


@pytest.mark.latex
def test_letters_are_outlines_and_none_is_tiny(compiled: Path) -> None:
    assert "Type 3" not in told_by("pdffonts", compiled)
    zoom = 3
    drawn = told_by("pdftohtml", "-xml", "-i", "-stdout", "-zoom", zoom, compiled)
    sizes = [int(size) for size in re.findall(r'<fontspec id="\d+" size="(\d+)"', drawn)]
    assert len(sizes) > 5
    assert min(sizes) >= 6 * zoom


@pytest.mark.latex
def test_pages_are_full_but_for_the_last(compiled: Path) -> None:
    pages = told_by("pdftotext", "-bbox", compiled, "-").split("<page ")[1:-1]
    for page in pages:
        height = float(re.findall(r'height="([\d.]+)"', page)[0])
        # The last word of a page is its number.
        lowest = max(float(y) for y in re.findall(r'yMax="([\d.]+)"', page)[:-1])
        assert lowest > 0.6 * height


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
    entry = shown("x", "I", "**Table I.** A table. A note.\n")
    return assemble(Report(experiment="x", title="Title & more", folder=str(tmp_path), shown=[entry]))


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


def test_a_note_is_told_once() -> None:
    same, own = "All of it is so.", "Only here."
    entries = [
        shown("table1", "I", f"**Table I.** First. Lead. {same}\n"),
        shown("figure2", "2", f"**Figure 2.** Second. Lead. {same} {own}\n"),
        shown("table2", "II", f"**Table II.** Third. Lead. {same}\n"),
    ]
    report = Report(experiment="x", title="x", folder="x", shown=entries)
    assert [(each.title, each.lead) for each in entries] == [
        ("First", "Lead."),
        ("Second", "Lead."),
        ("Third", "Lead."),
    ]
    assert report.notes == [("Tables I and II, Figure 2", same), ("Figure 2", own)]


def test_what_is_named_is_cited_and_nothing_else() -> None:
    names = [reference.name for reference in references(["| MI-FGSM | RAT, CIFAR-10 |", "PGD and AT"])]
    assert sorted(names) == ["CIFAR", "MI-FGSM", "PGD and AT", "RAT"]


def test_captions_of_figures_are_plain_text_for_latex() -> None:
    text = figure_environment("figure2", "2", "**Figure 2.** Share \\*of\\* f(x + τ) & 5 %\\_.\n\n| a | b |\n")
    assert r"\caption{Share *of* f(x + $\tau$) \& 5 \%\_.}" in text
    assert r"\includegraphics{figure2.pdf}" in text
