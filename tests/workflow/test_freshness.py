"""Nothing is made twice, and nothing stale is taken for fresh."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from tests.support.smoke_project import PDF, QUIET, Project, scramble_times

pytestmark = pytest.mark.workflow

MIFGSM = {"tae": 4, "cell": 6, "table": 3, "findings": 1, "comparison": 1, "metrics": 1, "page": 1, **PDF}
"""What depends on that attack."""


@pytest.mark.engine
def test_a_finished_run_plans_nothing(finished: Project) -> None:
    assert finished.planned() == {}


@pytest.mark.parametrize("seed", [0, 1])
def test_scrambled_times_without_records_plan_nothing(copy: Project, seed: int) -> None:
    scramble_times(copy, seed)
    assert copy.planned() == {}


def test_reformatting_config_plans_nothing(copy: Project) -> None:
    for path in copy.folder.glob("config/**/*.yaml"):
        path.write_text("# reformatted\n" + yaml.safe_dump(yaml.safe_load(path.read_text()), sort_keys=True))
    assert copy.planned() == {}


def test_absent_heavy_artifacts_plan_nothing_while_cells_are_there(copy: Project) -> None:
    for folder in ("checkpoints", "taes", "datasets", "predictions"):
        shutil.rmtree(copy.folder / "results" / folder)
    assert copy.planned() == {}


def test_a_deleted_table_plans_only_itself(copy: Project) -> None:
    (copy.folder / "paper_tables/smoke/table1.tex").unlink()
    assert copy.planned() == {"table": 1}


@pytest.mark.engine
def test_a_changed_attack_plans_exactly_what_depends_on_it(copy: Project) -> None:
    copy.edit("config/attacks/gradient.yaml", "momentum: 1.0}  # Dong", "momentum: 0.5}  # Dong")
    outputs = copy.planned_outputs()
    heavy = {path for path in outputs if path.startswith("results/")}
    assert all("/mifgsm" in path for path in heavy)
    assert copy.planned() == MIFGSM
    assert {path for path in outputs if path.startswith("paper_tables")} == {
        "paper_tables/smoke/table1.tex",
        "paper_tables/smoke/table4.tex",
        "paper_tables/smoke/findings.json",
        "paper_tables/smoke/comparison.md",
        "paper_tables/smoke/metrics.yaml",
        "paper_tables/smoke/index.html",
        *(f"paper_tables/smoke/paper.{suffix}" for suffix in PDF),
        "paper_tables/smoke/supplementary.tex",
    }


def test_changing_it_back_plans_nothing(copy: Project) -> None:
    copy.edit("config/attacks/gradient.yaml", "momentum: 1.0}  # Dong", "momentum: 0.5}  # Dong")
    assert copy.planned()
    copy.edit("config/attacks/gradient.yaml", "momentum: 0.5}  # Dong", "momentum: 1.0}  # Dong")
    assert copy.planned() == {}


@pytest.mark.engine
def test_a_changed_label_plans_only_what_prints_it(copy: Project) -> None:
    copy.edit("config/attacks/gradient.yaml", "label: PGD", "label: PGD-20")
    assert copy.planned() == {"table": 11, "figure": 4, "findings": 1, "comparison": 1, "metrics": 1, "page": 1, **PDF}


def test_a_changed_published_number_plans_only_reports(copy: Project) -> None:
    copy.edit("config/published/published.csv", "94.25", "94.26")
    assert copy.planned() == {"findings": 1, "comparison": 1, "audit": 1, "page": 1, **PDF}


def test_planning_writes_nothing(copy: Project) -> None:
    copy.edit("config/attacks/gradient.yaml", "momentum: 1.0}  # Dong", "momentum: 0.5}  # Dong")
    before = copy.snapshot()
    assert copy.planned()
    copy.run("--unlock")
    copy.trigact("explain", "results/taes/smoke/vgg-s__standard/seed0/mifgsm.npz")
    assert copy.snapshot() == before


def test_explain_names_the_changed_parameter(copy: Project) -> None:
    copy.edit("config/attacks/gradient.yaml", "momentum: 1.0}  # Dong", "momentum: 0.5}  # Dong")
    result = copy.trigact("explain", "results/taes/smoke/vgg-s__standard/seed0/mifgsm.npz")
    assert "stale" in result.stdout
    assert "attack.momentum 1.0 -> 0.5" in result.stdout


@pytest.mark.engine
def test_a_stale_run_mends_itself_and_then_plans_nothing(copy: Project) -> None:
    copy.edit("config/attacks/gradient.yaml", "momentum: 1.0}  # Dong", "momentum: 0.5}  # Dong")
    scramble_times(copy, 2)
    result = copy.run()
    assert result.returncode == 0, result.stdout
    assert f"{sum(MIFGSM.values())} jobs done" in result.stdout
    assert copy.planned() == {}


@pytest.mark.engine
def test_complete_makes_every_artifact_from_committed_cells(copy: Project) -> None:
    """As in a clone: cells and tables are there, nothing else."""
    for path in (copy.folder / "results").iterdir():
        if path.name != "cells":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    planned = copy.planned(settings=("experiment=smoke", "complete=true"))
    made = {"dataset": 2, "checkpoint": 18, "helper": 2, "tae": 32, "purified": 8, "purified_clean": 2}
    measured = {"cell": 43, "cost": 6, "trigger": 2, "flip": 1, "concept": 1, "theory": 1, "whitebox": 3}
    # The audit rests on config alone, so it is complete already.
    rendered = {
        "table": 13,
        "figure": 6,
        "findings": 1,
        "comparison": 1,
        "metrics": 1,
        "run_record": 1,
        "page": 1,
        **PDF,
    }
    assert planned == {**made, **measured, **rendered}


@pytest.mark.engine
def test_a_complete_run_adds_its_record_to_what_is_there(copy: Project) -> None:
    complete = ("experiment=smoke", "complete=true")
    assert copy.planned(settings=complete) == {"run_record": 1, "page": 1, **PDF}
    assert copy.execute(copy.command(*QUIET, settings=complete)).returncode == 0
    assert copy.planned(settings=complete) == copy.planned() == {}
    run = json.loads((copy.folder / "paper_tables/smoke/run.json").read_text())["content"]
    counts = {total["kind"]: total["artifacts"] for total in run["kinds"]}
    assert counts == {"dataset": 2, "checkpoint": 18, "helper": 2, "tae": 32, "purified": 10, "cell": 43}
    assert min(total["seconds"] for total in run["kinds"]) > 0
    assert "What the run took" in (copy.folder / "paper_tables/smoke/index.html").read_text()


def test_lint_passes(finished: Project) -> None:
    result = finished.execute([str(Path(finished.command()[0])), "--lint"])
    assert result.returncode == 0, result.stdout


def test_a_missing_cell_is_printed_as_missing_where_that_is_allowed(copy: Project) -> None:
    table, cell = "paper_tables/smoke/table1", "results/cells/smoke/standard/mifgsm/none.json"
    complete = (copy.folder / f"{table}.md").read_text()
    (copy.folder / cell).unlink()
    allowed = ("experiment=smoke", "allow_missing=true")
    result = copy.execute(copy.command(f"{table}.tex", *QUIET, settings=allowed))
    assert result.returncode == 0, result.stdout
    assert not (copy.folder / cell).exists()
    rows = (copy.folder / f"{table}.md").read_text().splitlines()
    assert next(row for row in rows if row.startswith("| MI-FGSM")).split("|")[2].strip() == "missing"
    assert re.search(r"Incomplete: 1 of \d+ cells are missing\.", rows[0])
    assert copy.planned(f"{table}.tex") == {"cell": 1, "table": 1}
    assert copy.run(f"{table}.tex").returncode == 0
    assert (copy.folder / f"{table}.md").read_text() == complete


def test_tables_without_any_cell_are_left_out(copy: Project) -> None:
    allowed = ("experiment=smoke", "allow_missing=true")
    cells, kept = copy.folder / "results/cells/smoke", copy.folder / "kept"
    cells.rename(kept)
    result = copy.execute(copy.command("--dry-run", settings=allowed))
    assert result.returncode != 0
    assert "smoke has no cell of its tables yet: run without allow_missing to make them" in result.stdout
    shutil.copytree(kept / "measured/trigger", cells / "measured/trigger")
    result = copy.execute(copy.command("--dry-run", settings=allowed))
    assert result.returncode == 0, result.stdout
    assert "Nothing to be done" in result.stdout
    (copy.folder / "paper_tables/smoke/table11.tex").unlink()
    result = copy.execute(copy.command(*QUIET, settings=allowed))
    assert result.returncode == 0, result.stdout
    assert re.search(r"Left out, as none of their cells are here: table1, table2, .*table8", result.stdout)
    assert "table11" not in result.stdout.split("Left out")[1].splitlines()[0]


def test_only_tables_may_lack_cells(copy: Project) -> None:
    (copy.folder / "paper_tables/smoke/index.html").unlink()
    allowed = ("experiment=smoke", "allow_missing=true")
    result = copy.execute(copy.command("paper_tables/smoke/index.html", *QUIET, settings=allowed))
    assert result.returncode != 0
    assert "allow_missing=true renders tables only: ask for paper_tables/smoke/index.html without it" in result.stdout
