"""The table of differences rendered from made-up cells: what each entry is, and how sure."""

from __future__ import annotations

import io
import math
import statistics
from collections.abc import Callable

import pandas as pd
import pytest

from tests.report.test_supplementary import markdown_rows
from tests.report.test_tables import cell
from tests.support.means import mean_of
from tests.support.projects import shipped_plan
from trigger_activation.plan.contents import Cell
from trigger_activation.plan.layouts import DifferenceLayout
from trigger_activation.report.tables import build, render
from trigger_activation.science.evaluation.results import PairMean

SEEDS = {"none": (30.0, 31.0, 32.0), "at": (70.0, 70.5, 69.0), "fixed_64": (30.5, 30.0, 33.5), "learn_32": (50.0,)}
"""Accuracy of each victim by seed under every attack, off the diagonal; learnable triggers have one seed here."""
STUDENT = 4.302653
"""The 97.5 % quantile of Student's t with 2 degrees of freedom, from a table."""

Made = Callable[[str, str, PairMean], Cell]


def sound(path: str, victim: str, mean: PairMean) -> Cell:
    attack = path.split("/")[-2]
    means = {"all": mean_of(*(0.0 for _ in mean.scores))} | {("all" if attack == "clean" else "off_diagonal"): mean}
    return cell(attack, victim, mean.mean, path=path, means=means, seeds=list(range(len(mean.scores))), images=2000)


def failing(path: str, victim: str, mean: PairMean) -> Cell:
    made = sound(path, victim, mean)
    return made.model_copy(update={"evidence": {"without_trigger": [40.0]}}) if victim == "fixed_64" else made


def layout() -> tuple[DifferenceLayout, list[str]]:
    table = shipped_plan()["paper_tables/demo/supplementary_differences.tex"]
    assert isinstance(table.parameters, DifferenceLayout)
    return table.parameters, list(table.inputs["cells"])


def cells(made: Made = sound) -> list[Cell]:
    found = []
    for path in layout()[1]:
        victim = path.rpartition("/")[2].removesuffix(".json")
        found.append(made(path, victim, mean_of(*SEEDS[victim])))
    return found


@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    return render(layout()[0], cells())


def test_each_defense_is_compared_with_each_before_it(rendered: dict[str, str]) -> None:
    assert list(markdown_rows(rendered[".md"]))[2:] == [
        "AT − w/o",
        "Ours (f) 64/255 − w/o",
        "Ours (l) 32/255 − w/o",
        "Ours (f) 64/255 − AT",
        "Ours (l) 32/255 − AT",
        "Ours (l) 32/255 − Ours (f) 64/255",
    ]


@pytest.mark.parametrize(("left", "right"), [("at", "none"), ("fixed_64", "none"), ("fixed_64", "at")])
def test_an_interval_is_students_over_differences_seed_by_seed(rendered: dict[str, str], left: str, right: str) -> None:
    differences = [one - other for one, other in zip(SEEDS[left], SEEDS[right], strict=True)]
    half = STUDENT * statistics.stdev(differences) / math.sqrt(3)
    records = pd.read_csv(io.StringIO(rendered[".csv"]))
    shown = records[(records.column == left) & (records.minus == right)]
    assert list(shown.attack) == ["clean", "pgd", "mifgsm", "difgsm"]
    assert shown.difference.to_list() == pytest.approx([statistics.fmean(differences)] * 4)
    assert shown.interval_low.to_list() == pytest.approx([statistics.fmean(differences) - half] * 4, abs=1e-5)
    assert shown.interval_high.to_list() == pytest.approx([statistics.fmean(differences) + half] * 4, abs=1e-5)


def test_only_what_excludes_zero_is_bold(rendered: dict[str, str]) -> None:
    assert "| AT − w/o | **+38.8** ± " in rendered[".md"]
    assert "| Ours (f) 64/255 − w/o | +0.3 ± " in rendered[".md"]
    assert "| Ours (f) 64/255 − AT | **-38.5** ± " in rendered[".md"]
    assert r"\textbf{+38.8}{\scriptsize\,$\pm$\," in rendered[".tex"]


def test_a_single_seed_has_no_interval_and_decides_nothing(rendered: dict[str, str]) -> None:
    assert markdown_rows(rendered[".md"])["Ours (l) 32/255 − AT"] == ["-19.8"] * 4
    assert "**-19.8" not in rendered[".md"]
    assert "Without ±: one side has a single seed" in rendered[".md"]


def test_what_rests_on_a_failed_check_is_marked() -> None:
    text = render(layout()[0], cells(failing))[".md"]
    marked = {label: ["†" in entry for entry in row] for label, row in markdown_rows(text).items() if "−" in label}
    assert marked == {label: ["(f)" in label] * 4 for label in marked}
    assert "†: fails a sanity check: without its trigger" in text


def test_where_a_cell_is_missing_so_are_its_differences() -> None:
    found: list[Cell | None] = [None if one.attack == "pgd" and one.column == "at" else one for one in cells()]
    grid = build(layout()[0], found)
    missing = {row.label: [entry.text == "missing" for entry in row.entries] for row in grid.rows}
    assert missing == {label: [False, "AT" in label, False, False] for label in missing}
    assert "Incomplete: 1 of 16 cells are missing." in grid.notes
