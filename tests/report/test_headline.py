"""The numbers that DVC shows in a terminal, and what it draws, from the committed tables."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.projects import ROOT, shipped_plan
from trigger_activation.plan.contents import Content
from trigger_activation.report.headline import headline
from trigger_activation.store.documents import read_document

EXPERIMENT = "demo"


def content(path: str) -> Content:
    document = read_document(path)
    assert document is not None
    found = document.content
    assert isinstance(found, Content)
    return found


def headline_of_committed_cells(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    monkeypatch.chdir(ROOT)
    metrics = shipped_plan()[f"paper_tables/{EXPERIMENT}/metrics.yaml"]
    layouts = {table.name: table.layout for table in metrics.parameters.tables}
    return headline(layouts, {name: [content(path) for path in metrics.inputs[name]] for name in layouts})


def test_it_says_what_the_findings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    told = headline_of_committed_cells(monkeypatch)
    found = json.loads((ROOT / f"paper_tables/{EXPERIMENT}/findings.json").read_text("utf-8"))["content"]
    kept = {each["defense"]: each for each in found["kept"]}
    (trigger,) = (each for name, each in kept.items() if name.startswith("the best trigger"))
    assert told == pytest.approx(
        {
            "none": kept["no defense"]["attacked"],
            "AT": kept["adversarial training"]["attacked"],
            "trigger": trigger["attacked"],
            "trigger clean": trigger["clean"],
        },
        abs=0.006,
    )


@pytest.fixture
def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with what DVC compares and draws, and nothing else."""
    told = headline_of_committed_cells(monkeypatch)
    for name in ("dvc.yaml", ".dvc", f"paper_tables/{EXPERIMENT}"):
        source, target = ROOT / name, tmp_path / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("tmp", "cache"))
        else:
            shutil.copy(source, target)
    (tmp_path / f"paper_tables/{EXPERIMENT}/headline.yaml").write_text(yaml.safe_dump(told))
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def dvc(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_metrics_fit_a_terminal(compared: Path) -> None:
    shown = dvc(compared, "metrics", "show")
    assert "trigger clean" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_every_declared_plot_is_drawn_from_columns_that_are_there(compared: Path) -> None:
    declared = yaml.safe_load((compared / "dvc.yaml").read_text("utf-8"))["plots"]
    for file, settings in ((file, settings) for plot in declared for file, settings in plot.items()):
        with (compared / file).open(encoding="utf-8") as stream:
            columns = next(csv.reader(stream))
        assert {settings["x"], settings["y"], "attack"} <= set(columns)
    dvc(compared, "plots", "show", "--out", "plots")
    page = (compared / "plots/index.html").read_text("utf-8")
    assert page.count("vegaEmbed(") == len(declared)
    assert "DVC_METRIC" not in page
    assert all(settings["title"] in page for plot in declared for settings in plot.values())
