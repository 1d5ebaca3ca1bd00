"""The last lines of a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.projects import ROOT
from trigger_activation.run.summary import WIDTH, last_lines
from trigger_activation.store.records import read_content

FOLDER = "paper_tables/demo"
TARGETS = {name: f"{FOLDER}/{file}" for name, file in {"findings": "findings.json", "page": "index.html"}.items()}
MANY = [*(f"{FOLDER}/table{number}.tex" for number in range(1, 12)), *TARGETS.values()]


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_a_whole_run_ends_with_what_was_found_and_which_file_to_open() -> None:
    lines = "\n".join(last_lines("demo", TARGETS, MANY)).splitlines()
    assert lines[0] == f"Rendered {len(MANY)} tables, figures and reports in {FOLDER}."
    assert lines[-1].startswith(f"Open {FOLDER}/index.html in a browser;")
    text = " ".join(" ".join(lines).split())
    for sentence in read_content(f"{FOLDER}/findings.json")["headline"][:2]:
        assert sentence in text
    assert len(lines) <= 12
    assert max(map(len, lines)) <= WIDTH


def test_a_part_of_it_says_nothing_of_findings() -> None:
    table = f"{FOLDER}/table1.tex"
    assert last_lines("demo", TARGETS, [table])[:2] == ["Rendered:", f"  {table}"]
    assert not re.search("found", " ".join(last_lines("demo", TARGETS, [table])))


def test_without_a_page_the_terminal_shows_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = f"{FOLDER}/table1.tex"
    for targets in (TARGETS, {}):
        assert last_lines("demo", targets, [table])[-1] == "`trigact show demo` prints the tables here."


def test_a_run_that_rendered_nothing_points_to_no_page() -> None:
    assert last_lines("demo", TARGETS, []) == []
