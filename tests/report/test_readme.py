"""The README shows what is committed, not what was once true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripts import readme

from tests.support.projects import ROOT
from trigger_activation.plan.config import load_config
from trigger_activation.report.references import REFERENCES

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMENT = re.compile(r"<!--.*?-->")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_numbers_are_those_of_the_committed_findings() -> None:
    for path, text in readme.wanted().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is of other findings: run `make readme`"


def test_no_part_is_forgotten() -> None:
    used = {name for page in PAGES for _, name, _ in readme.PART.findall(page.read_text(encoding="utf-8"))}
    assert used == set(readme.parts())


def test_it_is_short() -> None:
    assert len(COMMENT.sub("", README).split()) <= 900


def captions() -> Iterator[str]:
    """Of pictures, and paragraphs in italics."""
    yield from re.findall(r"!\[(.*?)\]", README)
    yield from re.findall(r"^\*([^*]+)\*$", README, re.MULTILINE)


def test_captions_are_short() -> None:
    counts = [len(caption.split()) for caption in captions()]
    assert len(counts) > 2
    assert max(counts) <= 40


def named_in_config() -> set[str]:
    """Attacks, preprocessing, paradigms and data sets as tables name them, without parameters."""
    config = load_config(ROOT / "config")
    variants = [*config.attacks.values(), *config.preprocessing.values(), *config.paradigms.values()]
    labels = [variant.label for variant in (*variants, *config.datasets.values())]
    names = {re.sub(r" (\(.*|[\d.]+|on f.*)$", "", label) for label in labels}
    return {name for name in names if not name.startswith(("Ours", "w/o"))}


def test_whatever_config_offers_is_named() -> None:
    missing = {name for name in named_in_config() if name not in " ".join(README.split())}
    assert len(named_in_config()) > 25
    assert missing == set()


def test_references_are_those_of_the_report() -> None:
    assert [reference.name for reference in REFERENCES if f"]({reference.url})" not in README] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
