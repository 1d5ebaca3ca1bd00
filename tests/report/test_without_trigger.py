"""Rows of clean images that victims see without their trigger."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pandas as pd

from tests.support.projects import shipped_plan
from trigger_activation.plan.contents import Cell
from trigger_activation.report.tables import render
from trigger_activation.science.evaluation.results import PairMean

WITH, WITHOUT = 80.0, 12.0
BARE = ("none", "at")


def mean_of(value: float) -> PairMean:
    """Of five seeds, whose means are told apart by one point, and four blocks."""
    return PairMean.of(value + np.arange(-2, 3)[:, None] + np.zeros(4))


def made_up(path: str, place: int) -> Cell:
    """A cell of the column with that place; columns are told apart by ten points."""
    attack, column = path.split("/")[-2], path.split("/")[-1].removesuffix(".json")
    means = {"all": mean_of(WITH - 10 * place)}
    if attack != "clean":
        means["off_diagonal"] = means["all"]
    elif column not in BARE:
        means["without_trigger"] = mean_of(WITHOUT + place)
    return Cell(
        path=path,
        surrogate_paradigm="clean",
        attack=attack,
        column=column,
        victims=["vgg-s", "resnet18-xs"],
        surrogates=[],
        seeds=list(range(5)),
        images=2000,
        correct=[],
        means=means,
    )


@cache
def rendered() -> dict[str, str]:
    plan = shipped_plan()
    table = plan[plan.targets["ablation"]["ablation"]]
    width = len(table.settings["columns"])
    return render(table.parameters, [made_up(path, n % width) for n, path in enumerate(table.inputs["cells"])])


def entries(label: str) -> list[str]:
    (line,) = [line for line in rendered()[".md"].splitlines() if line.startswith(f"| {label} |")]
    return line.strip("| ").split(" | ")[1:]


def test_the_row_shows_the_mean_without_the_trigger() -> None:
    assert entries("Clean, f(x)")[2:] == [f"{WITHOUT + place:.1f} ± 1.6" for place in range(2, 14)]


def test_a_dash_stands_where_there_is_no_trigger() -> None:
    assert entries("Clean, f(x)")[:2] == ["–", "–"]
    assert "a dash stands where networks have no trigger" in rendered()[".md"]
    assert "victims of one seed" not in rendered()[".md"]


def test_nothing_is_marked_where_networks_shall_guess() -> None:
    assert "**" in entries("Clean")[0]
    assert not any("**" in entry or "<u>" in entry for entry in entries("Clean, f(x)"))


def test_the_csv_tells_it_from_the_clean_row() -> None:
    data = pd.read_csv(io.StringIO(rendered()[".csv"]), keep_default_na=False)
    clean = data[(data.attack == "clean") & (data["column"] == "fixed_64_clamp")]
    assert list(zip(clean.pairs, clean.accuracy, strict=True)) == [
        ("all", WITH - 30),
        ("without_trigger", WITHOUT + 3),
    ]


def test_the_caption_counts_equal_seeds_once() -> None:
    assert "over seeds: 5 seeds for each." in rendered()[".md"]
