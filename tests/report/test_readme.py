"""The README shows what is committed, not what was once true."""

from __future__ import annotations

import re

import pytest

from tests.support.projects import ROOT, shipped_plan
from trigger_activation.cli import main
from trigger_activation.plan.graph import Plan
from trigger_activation.store.records import read_content

README = (ROOT / "README.md").read_text(encoding="utf-8")
CELLS = [f"results/cells/fashion16/standard/pgd/{column}.json" for column in ("none", "fixed_64", "learn_32", "at")]


def test_the_table_is_the_rendered_one() -> None:
    assert (ROOT / "paper_tables/demo/table1.md").read_text(encoding="utf-8").strip() in README


def test_the_comparison_is_that_of_the_committed_cells(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["compare", *CELLS]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert f"    {line}\n" in README


def test_the_larger_experiment_is_told_as_its_cells_have_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    cells = [f"results/cells/fashion28/standard/pgd/{column}.json" for column in ("none", "fixed_64", "at")]
    means = [read_content(cell)["means"]["all"]["mean"] for cell in cells]
    undefended, fixed, trained = (f"{mean:.1f} %" for mean in means)
    sentence = f"undefended networks {undefended}, those with a fixed trigger of 64/255 {fixed}, and AT {trained}"
    text = " ".join(README.split())
    assert sentence in text
    assert main(["compare", *cells[:2]]) == 0
    (gain,) = re.findall(r"off diagonal pairs: \+([0-9.]+) points", capsys.readouterr().out)
    assert f"across architectures the trigger still gains {gain} points" in text


def test_the_counts_are_those_of_the_plan() -> None:
    plan: Plan = shipped_plan()
    kinds = [artifact.kind.name for artifact in plan.of_experiment("demo")]
    assert f"trains {kinds.count('checkpoint')} small networks" in README
    published = [path for name, path in plan.targets["paper"].items() if re.fullmatch(r"table\d+", name)]
    kinds = [artifact.kind.name for artifact in plan.upstream(published)]
    for kind, name in {"checkpoint": "checkpoints", "tae": "sets of adversarial examples", "cell": "cells"}.items():
        assert f"{kinds.count(kind)} {name}" in README


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
