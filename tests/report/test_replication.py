"""Two runs of an experiment, made up: what of the first one the second supports."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.report.test_tables import cell
from tests.support.means import mean_of
from tests.support.projects import shipped_plan
from trigger_activation.cli.replicate import Run, compared, replicate, since
from trigger_activation.errors import UserError
from trigger_activation.plan import Artifact
from trigger_activation.plan.contents import Findings, RunTotals, Verdict
from trigger_activation.report.replication import Turn, report, turns, twins
from trigger_activation.store.documents import Document
from trigger_activation.store.records import Record

TABLE = shipped_plan()["paper_tables/demo/table1.tex"].parameters
CELLS = len(TABLE.rows) * len(TABLE.columns)


def run(draw: int, shift: float = 0.0, seeds: int = 3) -> list[Any]:
    """Cells of one table, whose seeds scatter by two points around the same truth."""
    stream = np.random.default_rng(draw)
    return [
        cell("pgd", "none", 0, path=f"cell{k}", means={"all": mean_of(*(50 + shift + 2 * stream.normal(size=seeds)))})
        for k in range(CELLS)
    ]


def test_runs_of_the_same_truth_lie_inside_their_intervals_as_often_as_they_say() -> None:
    found = [twin for draw in range(40) for twin in twins([(TABLE, run(2 * draw), run(2 * draw + 1))])]
    assert 0.93 <= np.mean([twin.inside for twin in found]) <= 0.99


def test_a_run_of_another_truth_lies_outside() -> None:
    found = twins([(TABLE, run(0), run(1, shift=20))])
    assert sum(twin.inside for twin in found) < len(found) / 3
    assert "| outside its interval | first run | second run | difference |" in report(found, [], {}, 0, 1)


def test_runs_of_one_seed_say_that_nothing_is_known() -> None:
    found = twins([(TABLE, run(0, seeds=1), run(1, seeds=1))])
    assert report(found, [], {}, 0, 1).startswith("**Cells.** All of them rest on a single seed")


def test_a_cell_of_several_tables_counts_once() -> None:
    table = (TABLE, run(0), run(1))
    assert len(twins([table, table])) == CELLS


def findings(*outcomes: str) -> Findings:
    verdicts = [
        Verdict(
            statement=f"Statement {k}",
            section="",
            table="I",
            in_print="",
            here=outcome,
            other_architectures="not tested" if k else outcome,
            decided_by="",
            address="",
        )
        for k, outcome in enumerate(outcomes)
    ]
    return Findings(dataset="", table="", kept=[], headline=[], differences=[], verdicts=verdicts, audit=[])


def test_verdicts_agree_turn_or_are_opposite() -> None:
    first = findings("supported", "supported", "contradicted", "open", "not tested", "open")
    second = findings("supported", "contradicted", "open", "open", "supported", "supported")
    told = [turn.what for turn in turns(first, second)]
    assert told == ["agree", "agree", "opposite", "open", "agree", "open"]
    assert [turn.apart for turn in turns(first, second)] == [False, True, *[False] * 4]


def test_the_report_counts_and_lists_what_turned() -> None:
    said = report([], [Turn("A", "open", "open"), Turn("B", "open", "supported", apart=True)], {}, 0, 0)
    assert "Of 2 that both runs reach" in said
    assert "1 are the same, 1 turned to or from open, 0 are opposite." in said
    assert "| B | different architectures | open | supported |" in said
    assert "| A |" not in said


Read = Callable[[str], Document | None]


def made_up(draw: int, arithmetic: str = "abc") -> Read:
    """Documents of whatever the plan has."""

    def read(path: str) -> Document:
        artifact: Artifact = shipped_plan()[path]
        record = Record(
            path=path,
            kind=artifact.kind.name,
            recipe=artifact.recipe,
            parameters={},
            versions={},
            inputs={},
            content_sha256=str(draw),
        )
        if artifact.kind.name == "run":
            packages = {"torch": ["2.0"]}
            made = RunTotals(
                kinds=[], devices=["CPU"], arithmetic=[arithmetic], machines=1, commits=[], packages=packages
            )
            return Document(record, made)
        if artifact.kind.name == "findings":
            return Document(record, findings("supported"))
        values = 50 + np.random.default_rng([draw, len(path)]).normal(size=len(artifact.settings["seeds"]))
        content = cell(artifact.settings["attack"], "none", 0, path=path, means={"all": mean_of(*values)})
        return Document(
            record, content.model_copy(update={"means": {**content.means, "off_diagonal": mean_of(*values)}})
        )

    return read


def test_a_run_is_compared_with_the_committed_one() -> None:
    plan = shipped_plan()
    first = Run("the committed run", plan, "demo-again", made_up(0))
    said = compared(first, Run("this run", plan, "demo-again", made_up(1, arithmetic="xyz")))
    assert "Of 366 cells of a single seed nothing is known." in said
    assert "the committed run on CPU (rounding abc, torch 2.0) and this run on CPU (rounding xyz, torch 2.0)" in said
    assert "0 of 474 cells have the same content" in said
    assert "474 of 474 cells have the same content" in compared(first, first)


def test_a_run_is_compared_with_one_of_an_earlier_commit_of_the_same_experiment_alone() -> None:
    assert [run.title for run in since(shipped_plan(), "demo", "HEAD~1")] == ["the run of HEAD~1", "this run"]
    options = argparse.Namespace(experiment="demo", other="demo-again", at="HEAD~1")
    with pytest.raises(UserError, match="--at compares an experiment with itself"):
        replicate(options)


def test_a_second_run_is_an_experiment_whose_protocols_differ_by_name_alone() -> None:
    plan = shipped_plan()
    said = compared(*(Run(name, plan, name, made_up(draw)) for draw, name in enumerate(("demo", "demo-again"))))
    assert "Of 2 that both runs reach" in said
    assert "2 are the same" in said


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ("demo", "paper", "fashion16 and cifar10 are different protocols"),
        ("demo", "dmo", "there is no experiment 'dmo': did you mean"),
        ("demo", "ablation", "share no table of accuracies"),
    ],
)
def test_what_cannot_be_compared_is_refused(first: str, second: str, says: str) -> None:
    plan = shipped_plan()
    with pytest.raises(UserError, match=says):
        compared(*(Run(name, plan, name, made_up(0)) for name in (first, second)))


def test_cells_of_another_recipe_are_refused() -> None:
    plan = shipped_plan()

    def stale(path: str) -> Document | None:
        document = made_up(0)(path)
        assert document is not None
        return Document(document.record.model_copy(update={"recipe": "other"}), document.content)

    with pytest.raises(UserError, match="made by another recipe"):
        compared(Run("the committed run", plan, "demo-again", stale), Run("this run", plan, "demo-again", made_up(1)))


def test_cells_that_are_not_there_are_asked_for() -> None:
    plan = shipped_plan()
    with pytest.raises(UserError, match="make the experiment demo-again first"):
        compared(*(Run(name, plan, "demo-again", lambda _: None) for name in ("a", "b")))
