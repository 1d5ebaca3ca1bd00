"""A run beside the published numbers: counterparts, verdicts, and a run that measures just what was published."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product

import pandas as pd
import pytest
from scipy import stats

from tests.support.means import mean_of
from tests.support.projects import ROOT, Project, shipped_plan
from trigger_activation.plan.config import load_config
from trigger_activation.plan.contents import Cell, Content, Findings, MeasuredTrigger, TriggerStudy
from trigger_activation.plan.counterparts import counterpart
from trigger_activation.plan.layouts import AccuracyLayout, ComparedTable, Facts, TriggerLayout
from trigger_activation.plan.recipes import ComparisonParameters
from trigger_activation.report.published.claims import CLAIMS, Inequality, Term, View
from trigger_activation.report.published.comparison import (
    PUBLISHED,
    Comparison,
    Pair,
    changes,
    compare,
    rank_correlation,
    rank_range,
)
from trigger_activation.report.published.findings import differences
from trigger_activation.report.published.numbers import PrintedColumn, Published, parse
from trigger_activation.report.published.render import render_comparison
from trigger_activation.report.published.run import OFF_DIAGONAL, PRINTED
from trigger_activation.report.published.verdicts import ClaimVerdict, Finding, Outcome, judge
from trigger_activation.science.evaluation.results import PairMean
from trigger_activation.science.evaluation.uncertainty import Estimate, Variance
from trigger_activation.science.sanity import SanityLimits

Value = Callable[[str, str, PrintedColumn], float | None]
"""TableInPrint, row and column in print -> what a run measures there."""


@cache
def published() -> Published:
    return parse((ROOT / "config/published/published.csv").read_text(encoding="utf-8"))


def printed(table: str, row: str, column: PrintedColumn) -> float | None:
    value = published().value(table, row, column)
    return None if value is None else float(value)


def layout_of(experiment: str) -> ComparisonParameters:
    parameters = shipped_plan()[f"paper_tables/{experiment}/comparison.md"].parameters
    assert isinstance(parameters, ComparisonParameters)
    return parameters


def table_of(experiment: str, name: str) -> ComparedTable:
    (table,) = (table for table in layout_of(experiment).tables if table.name == name)
    return table


def cell(attack: str, found: PairMean) -> Cell:
    return Cell(
        surrogate_paradigm="standard",
        attack=attack,
        column="none",
        victims=[],
        surrogates=[],
        seeds=[],
        images=1,
        correct=[],
        means={"all": found, "off_diagonal": found},
    )


def accuracy_cells(table: ComparedTable, value: Value, seeds: int = 2) -> list[Cell]:
    """The cells of one table, all with the same mean over all pairs and off the diagonal."""
    layout, (paper,) = accuracy_layout(table), table.paper
    rows = {row.lower().replace("-", ""): row for row in published().rows("II") + published().rows("IV")}
    cells = []
    for row, column in product(layout.rows, paper.columns):
        number = column and value(layout.number, rows[row.attack], PrintedColumn(column.defense, column.param))
        cells.append(cell(row.attack, mean_of(*[50.0 if number is None else number] * seeds)))
    return cells


def accuracy_layout(table: ComparedTable) -> AccuracyLayout:
    assert isinstance(table.layout, AccuracyLayout)
    return table.layout


def trigger_cells(table: ComparedTable) -> list[TriggerStudy]:
    """The cells of Table XI, one per slot and column."""
    cells = []
    columns = [
        (slot.protocol.dataset, PrintedColumn(column.defense, column.param))
        for slot in table.paper
        for column in slot.columns
        if column
    ]
    for dataset, column in columns:
        numbers = [n for n in published().of("XI") if (n.dataset, n.column) == (dataset, column)]
        triggers = [
            MeasuredTrigger(
                network=n.network, seed=seed, mean_square=float(n.value or 0) / 100, largest=0.0, picture=""
            )
            for n in numbers
            for seed in range(2)
        ]
        cells.append(TriggerStudy(paradigm=column.defense, triggers=triggers))
    return cells


def compared(experiment: str, value: Value = printed, seeds: int = 2) -> Comparison:
    tables = layout_of(experiment).tables
    cells: dict[str, Sequence[Content]] = {
        table.name: trigger_cells(table)
        if isinstance(table.layout, TriggerLayout)
        else accuracy_cells(table, value, seeds)
        for table in tables
    }
    return compare(published(), tables, cells)


def test_every_cell_of_the_paper_has_its_published_counterpart() -> None:
    found = [
        (table.number, row.published, str(column))
        for table in compared("paper").tables
        for row in table.rows
        if row.label != "Mean"
        for column, pair in zip(table.columns, row.pairs, strict=True)
        if pair.published is not None
    ]
    assert len(found) == len(set(found)) == 500  # 501 cells, one of them illegible


def test_a_run_that_measures_what_was_published_has_no_difference() -> None:
    comparison = compared("paper")
    pairs = [pair for table in comparison.tables for row in table.rows for pair in row.pairs if pair.published]
    assert max(abs(pair.difference or 0) for pair in pairs if pair.measured != 50) < 1e-6  # As cells round.
    assert all(table.tau == pytest.approx(1) for table in comparison.tables)
    assert not any(table.changes or table.not_run_rows or table.not_run_columns for table in comparison.tables)
    assert comparison.not_compared == ["V", "XI"]


def test_a_run_that_measures_what_was_published_gets_the_same_verdicts() -> None:
    for judgement in compared("paper").judgements:
        for name in (PRINTED, OFF_DIAGONAL) if judgement.table != "V" else ():
            assert judgement.verdicts[name].outcome is judgement.verdicts[PUBLISHED].outcome, judgement.claim.sentence


def test_a_run_that_reverses_everything_reverses_the_order() -> None:
    def reversed_value(table: str, row: str, column: PrintedColumn) -> float | None:
        value = printed(table, row, column)
        return None if value is None else 100 - value

    assert {round(table.tau or 0, 6) for table in compared("cifar10-core", reversed_value).tables} == {-1}


def columns_of(experiment: str, name: str) -> dict[str, str | None]:
    table = table_of(experiment, name)
    names = [column.name for column in accuracy_layout(table).columns]
    found = [f"{c.defense} {c.param}".strip() if c else None for c in table.paper[0].columns]
    return dict(zip(names, found, strict=True))


def test_a_role_stands_beside_the_variant_that_has_it_in_the_paper() -> None:
    assert columns_of("demo", "table2")["learn_32"] == "ours_learnable alpha=4/255"
    assert columns_of("demo", "table8")["fixed_64"] == "ours_fixed eps_t=16/255"
    assert columns_of("demo", "table2")["at"] == "at_pgd eps=8/255"
    assert columns_of("demo", "table2")["jpeg_q50"] == "jpeg q=50"


def test_a_variant_named_by_itself_stands_beside_itself() -> None:
    assert columns_of("demo", "table7")["learn_0.5"] == "ours_learnable alpha=0.5/255"
    assert columns_of("smoke", "table1")["noise_64"] is None


def test_another_spelling_of_a_parameter_has_the_same_counterpart() -> None:
    assert counterpart("trigger_fixed", {"trigger_eps": "128/510"}) == counterpart(
        "trigger_fixed", {"trigger_eps": "64/255"}
    )


def test_a_table_on_other_data_stands_beside_the_data_of_its_number() -> None:
    assert table_of("smoke", "table4").paper[0].protocol.dataset == "ImageNet-subset"


def test_a_column_that_the_paper_lacks_has_no_published_value() -> None:
    (table,) = (table for table in compared("demo").tables if table.number == "VII")
    assert table.columns[-1] is None
    assert all(pair.published is None for row in table.rows for pair in row.pairs[-1:])


def test_a_table_that_the_paper_lacks_is_left_out() -> None:
    table = table_of("demo", "table8")
    other = table.model_copy(update={"layout": table.layout.model_copy(update={"number": "S1"})})
    assert not compare(published(), [other], {"table8": accuracy_cells(other, lambda *_: 1.0)}).tables


def test_what_was_not_run_is_listed() -> None:
    (table,) = (table for table in compared("smoke").tables if table.number == "II")
    assert [str(column) for column in table.not_run_columns][:2] == ["jpeg q=75", "gaussian sigma=0.7"]
    assert table.not_run_rows == ["I-FGSM", "MI-FGSM", "DI-FGSM", "NAA", "RPA", "L2T"]


def test_protocols_are_compared_fact_by_fact() -> None:
    facts = Facts(
        name="digits",
        dataset="Digits",
        classes=10,
        networks={"a": "A"},
        eps="8/255",
        steps=20,
        images=1000,
        epochs=5,
        sanity=SanityLimits(),
    )
    assert changes(facts, facts) == []
    assert changes(facts, facts.model_copy(update={"eps": "16/255", "epochs": 60})) == [
        "budget 8/255 instead of 16/255",
        "epochs 5 instead of 60",
    ]


def test_rank_correlation_is_kendalls() -> None:
    pairs = [Pair(mean_of(here), there) for here, there in [(1, 10.0), (2, 30.0), (3, 20.0), (9, None)]]
    assert rank_correlation(pairs) == pytest.approx(1 / 3)  # two pairs in order, one not
    assert rank_correlation(pairs[:1]) is None
    assert rank_correlation([Pair(mean_of(1), 5.0), Pair(mean_of(2), 5.0)]) is None


def test_the_range_of_a_rank_correlation_is_that_over_orders_which_the_data_allow() -> None:
    seeds = (-1.0, 0.0, 1.0)  # Paired seed by seed: those of one sign have differences without any spread.
    here = [mean_of(*(value + turn * seed for seed in seeds)) for value, turn in [(10, 1), (11, -1), (30, 1), (40, 1)]]
    printed = [1.0, 2.0, 4.0, 3.0]
    low, high = rank_range([Pair(*both) for both in zip(here, printed, strict=True)]) or (0.0, 0.0)
    orders = [[10, 11, 30, 40], [11, 10, 30, 40]]  # The first two columns cannot be told apart.
    assert [low, high] == pytest.approx(sorted(stats.kendalltau(order, printed).statistic for order in orders))


def test_the_range_of_a_rank_correlation_leaves_out_what_is_equal_in_print() -> None:
    here, printed = [mean_of(value, value) for value in (1, 2, 3)], [5.0, 5.0, 7.0]
    expected = stats.kendalltau([1, 2, 3], printed).statistic
    assert rank_range([Pair(*both) for both in zip(here, printed, strict=True)]) == pytest.approx((expected, expected))
    assert rank_range([Pair(mean_of(1), 5.0), Pair(mean_of(2), 5.0)]) is None
    one_seed = [Pair(mean_of(1), 5.0), Pair(mean_of(90), 6.0)]
    assert rank_range(one_seed) == (-1, 1)


def finding(mean: float, margin: float, above: float = 0.0, below: float = math.inf) -> Finding:
    term = Term("II", ("PGD",), PrintedColumn("none"))
    return Finding(Inequality(term, term, above, below), Estimate(mean, Variance((margin / 1.96) ** 2, math.inf)))


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (finding(2, 1), Outcome.HOLDS),
        (finding(0.5, 1), Outcome.UNDECIDED),
        (finding(-0.5, 1), Outcome.UNDECIDED),
        (finding(-2, 1), Outcome.FAILS),
        (finding(0, 0), Outcome.FAILS),
        (finding(0, 4, -5, 5), Outcome.HOLDS),
        (finding(0, 6, -5, 5), Outcome.UNDECIDED),
        (finding(-7, 1, -5, 5), Outcome.FAILS),
        (finding(7, 3, -5, 5), Outcome.UNDECIDED),
    ],
)
def test_an_inequality_is_decided_outside_its_interval(found: Finding, outcome: Outcome) -> None:
    assert found.outcome is outcome


def test_a_statement_fails_with_one_inequality_and_holds_with_all() -> None:
    holds, open_, fails = finding(2, 1), finding(0.5, 9), finding(-2, 1)
    assert ClaimVerdict([holds, holds], 3).outcome is Outcome.HOLDS
    assert ClaimVerdict([holds, open_], 0).outcome is Outcome.UNDECIDED
    assert ClaimVerdict([holds, open_, fails], 0).outcome is Outcome.FAILS
    assert ClaimVerdict([holds, open_, fails], 0).deciding is fails
    assert ClaimVerdict([], 3).outcome is Outcome.NOT_RUN


def test_cells_of_two_protocols_have_no_difference() -> None:
    first, second = (table_of("demo", name) for name in ("table2", "table8"))
    layout = accuracy_layout(second)
    moved = layout.model_copy(update={"protocol": layout.protocol.model_copy(update={"name": "other"})})
    tables = [first, second.model_copy(update={"layout": moved})]
    cells = {table.name: accuracy_cells(table, printed) for table in tables}
    judgements = compare(published(), tables, cells).judgements
    (adaptive,) = (j for j in judgements if j.table == "VIII" and "Attackers who know" in j.claim.sentence)
    assert adaptive.verdicts[PRINTED].outcome is Outcome.NOT_RUN


def test_one_seed_is_admitted() -> None:
    for seeds, admitted in ((1, True), (3, False)):
        (judgement,) = (
            j for j in compared("demo", seeds=seeds).judgements if j.claim.sentence.startswith("AT is more robust")
        )
        assert judgement.verdicts[PRINTED].one_seed is admitted


def test_statements_speak_of_cells_that_are_printed() -> None:
    missing = [
        (claim.sentence, term)
        for claim in CLAIMS
        for table in claim.tables
        for inequality in claim.inequalities(View(published(), table))
        for term in (inequality.left, inequality.right)
        for row in term.rows
        if printed(term.table, row, term.column) is None
    ]
    assert missing == []


def test_every_statement_can_fail() -> None:
    """In a table where all cells are alike nothing is ahead of anything; only `within` and `up to` hold."""
    same = Estimate(0.0, Variance(0.0, math.inf))
    for claim in CLAIMS:
        inequalities = claim.inequalities(View(published(), claim.tables[0]))
        bounded = all(inequality.above < 0 for inequality in inequalities)
        expected = Outcome.HOLDS if bounded else Outcome.FAILS
        assert judge(inequalities, lambda *_: same).outcome is expected, claim.sentence


def rendered_files(comparison: Comparison) -> dict[str, str]:
    paper = load_config(ROOT / "config").paper
    assert paper
    found = Findings(
        dataset="", table="", kept=[], headline=["One."], differences=differences(comparison), verdicts=[], audit=[]
    )
    return render_comparison(comparison, paper, found)


def test_published_values_have_the_digits_of_the_print() -> None:
    lines = (ROOT / "config/published/published.csv").read_text(encoding="utf-8").splitlines()[1:]
    values = [line.split(",")[6] for line in lines if line.split(",")[0] not in ("V", "XI") and line.split(",")[6]]
    assert all(f"{float(value):.2f}" == value for value in values)


def test_the_report_says_first_that_a_miniature_is_not_the_paper() -> None:
    text = rendered_files(compared("demo"))["comparison.md"]
    assert text.split("## ")[1].startswith("What was found")
    assert "magnitudes cannot" in text.split("## ")[1]
    assert "data set Fashion-MNIST (16×16) instead of CIFAR-10" in text
    assert "Mean absolute difference" not in text
    text = rendered_files(compared("paper"))["comparison.md"]
    assert "magnitudes" not in text
    assert "Mean absolute difference" in text


def test_entries_are_measured_published_and_their_difference() -> None:
    text = rendered_files(compared("demo", lambda *place: (printed(*place) or 0) + 1))["comparison.md"]
    table = text.partition("### Table VIII.")[2]
    assert "| PGD | 14.9 (13.89, +1.0) | 62.9 (61.88, +1.0) |" in table


def test_every_row_of_the_report_has_its_columns() -> None:
    text = rendered_files(compared("demo"))["comparison.md"]
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block


def test_the_csv_files_hold_every_cell_and_every_verdict() -> None:
    comparison = compared("demo")
    rendered = rendered_files(comparison)
    cells = pd.read_csv(io.StringIO(rendered["comparison.csv"]))
    assert len(cells) == sum(len(row.pairs) for table in comparison.tables for row in table.rows)
    claims = pd.read_csv(io.StringIO(rendered["claims.csv"]))
    assert len(claims) == 3 * len(comparison.judgements)
    assert set(claims["outcome"]) <= {str(outcome) for outcome in Outcome}


def test_a_changed_number_changes_the_recipe_of_reports_alone(project: Project) -> None:
    before = {path: artifact.recipe for path, artifact in project.plan().artifacts.items()}
    project.replace("published/published.csv", "94.25", "94.26")
    after = {path: artifact.recipe for path, artifact in project.plan().artifacts.items()}
    changed = {path.rpartition("/")[2] for path in before if before[path] != after[path]}
    assert changed == {"findings.json", "comparison.md", "audit.md", "index.html", "paper.pdf"}


def test_missing_numbers_are_refused_in_one_sentence(project: Project) -> None:
    (project.config / "published/table6.csv").unlink()
    assert "config/published/table6.csv is missing" in project.complaint()


def test_a_comparison_needs_the_paper(project: Project) -> None:
    project.replace("experiments/paper.yaml", "C: imagenet100", "C: photos32")
    project.replace("experiments/paper.yaml", "{A: cifar10, ", "{")
    with project.edited("experiments/paper.yaml") as paper:
        paper["tables"] = {"table3": {}}
        paper["figures"] = []
    assert "a comparison needs the experiment paper with a protocol in slot A" in project.complaint()


def test_a_table_may_not_have_the_name_of_a_report(project: Project) -> None:
    project.write("tables/audit.yaml", project.read("tables/table1.yaml"))
    assert "has the name audit, which reports use" in project.complaint()
