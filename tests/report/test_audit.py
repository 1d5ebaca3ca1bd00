"""The audit of the published numbers, against figures that were worked out by hand from the paper's tables."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pytest

from tests.support.projects import ROOT
from trigger_activation.errors import UserError
from trigger_activation.report.published.audit import audit
from trigger_activation.report.published.numbers import PrintedColumn, Published, parse
from trigger_activation.report.published.render import render_audit

TEXT = (ROOT / "config/published/published.csv").read_text(encoding="utf-8")
WORDS = (ROOT / "config/published/table6.csv").read_text(encoding="utf-8")

# Defense: recomputed mean, printed mean and gap of Tables II, III and IV.
MEANS = """
none            15.303 15.16 -1.00   15.193 15.08 -0.79   39.272 39.07 -2.02
jpeg            61.403 61.55 +1.03   34.617 34.76 +1.00   47.220 47.42 +2.00
jpeg            52.940 52.08 -6.02   31.639 31.92 +1.97   46.536 46.26 -2.76
bdr             29.010 28.32 -4.83   15.183 15.04 -1.00   36.608 36.01 -5.98
gaussian        37.826 37.54 -2.00   27.476 27.62 +1.01   42.642 42.24 -4.02
gaussian        43.186 43.33 +1.01   28.526 28.81 +1.99   42.757 42.56 -1.97
rp              45.996 46.28 +1.99   31.276 31.42 +1.01   40.493 40.39 -1.03
nrp             26.229 26.80 +4.00   23.457 23.60 +1.00   58.170 58.17 +0.00
diffpure        86.073 86.08 +0.05   42.231 42.66 +3.00   None   65.99 None
at_pgd          82.401 82.26 -0.99   53.920 53.92 +0.00   56.316 56.31 -0.06
rat_trades      80.666 80.95 +1.99   54.497 54.64 +1.00   57.207 57.41 +2.03
tdat            82.087 82.37 +1.98   47.704 47.99 +2.00   51.858 51.76 -0.98
ours_fixed      72.081 72.08 -0.01   54.076 54.79 +5.00   62.947 63.24 +2.93
ours_learnable  82.909 83.91 +7.01   56.767 56.91 +1.00   66.305 66.41 +1.05
"""


def records(name: str) -> list[dict[str, Any]]:
    """The records of one check, every value as text."""
    (check,) = (check for check in audit(parse(TEXT), WORDS) if check.name == name)
    return [{key: str(value) for key, value in record.items()} for record in check.records]


@cache
def explanation(name: str) -> str:
    (check,) = (check for check in audit(parse(TEXT), WORDS) if check.name == name)
    return check.explanation


def test_every_mean_row_is_recomputed() -> None:
    found = records("mean_rows")
    for place, table in enumerate(("II", "III", "IV")):
        columns = [record for record in found if record["table"] == table]
        for record, line in zip(columns, MEANS.strip().splitlines(), strict=True):
            defense, *figures = line.split()
            recomputed, printed, gap = (figure.replace("+", "") for figure in figures[3 * place : 3 * place + 3])
            assert record["column"].split()[0] == defense
            assert (record["recomputed"], record["printed"], record["gap"]) == (recomputed, printed, gap)


def test_most_gaps_are_whole_numbers() -> None:
    found = Counter(record["explained_by"] for record in records("mean_rows"))
    assert found["whole number"] == 33
    assert found["neither"] == 3
    assert found["rounding"] + found["truncation"] + found["rounding of the cells"] == 5
    assert "Of 41 complete columns, 33" in explanation("mean_rows")
    neither = [(r["table"], r["column"]) for r in records("mean_rows") if r["explained_by"] == "neither"]
    assert neither == [("II", "bdr d=2"), ("III", "none"), ("IV", "jpeg q=30")]


def test_adaptive_means_are_those_of_their_cells() -> None:
    found = {(r["table"], r["column"].split()[0]): r for r in records("adaptive_means")}
    assert {r["explained_by"] for r in found.values()} == {"rounding", "truncation", "mean illegible"}
    truncated = {place for place, r in found.items() if r["explained_by"] == "truncation"}
    assert {("IX", "none"), ("IX", "at_pgd"), ("IX", "ours_learnable")} <= truncated
    illegible = {place: r["recomputed"] for place, r in found.items() if r["printed"] == "None"}
    assert illegible == {("VIII", "at_pgd"): "67.325", ("IX", "ours_fixed"): "42.108", ("X", "at_pgd"): "46.010"}


def test_the_illegible_cell_follows_from_its_mean() -> None:
    assert records("missing_cells") == [{"table": "IV", "row": "Diff-PGD", "column": "diffpure", "implied": "70.35"}]


def test_the_undefended_column_tells_that_adaptive_tables_leave_out_the_diagonal() -> None:
    found = records("white_box_share")
    ratios = {(r["tables"], r["row"]): float(r["ratio"]) for r in found}
    assert ratios["VIII / II", "PGD"] == 1.230
    assert ratios["IX / III", "MI-FGSM"] == 1.260
    assert ratios["X / IV", "DI-FGSM"] == 1.194
    assert {r["tables"]: r["expected"] for r in found} == {"VIII / II": "1.250", "IX / III": "1.250", "X / IV": "1.200"}
    accuracies = [float(r["implied_white_box_accuracy"]) for r in found]
    assert accuracies == [0.89, 1.14, 0.15, 0.01, 1.44, 2.41, -0.56, 0.00, 2.58, 5.26, 3.53, 0.94]


def test_tables_that_disagree_are_found() -> None:
    found = {(r["row"], r["column"], r["table"]): r["printed"] for r in records("disagreements")}
    assert found == {
        ("DI-FGSM", "at_pgd eps=8/255", "I"): "81.61",
        ("DI-FGSM", "at_pgd eps=8/255", "II"): "84.89",
        ("DI-FGSM", "ours_fixed eps_t=64/255", "I"): "63.15",
        ("DI-FGSM", "ours_fixed eps_t=64/255", "II"): "64.15",
        ("MI-FGSM", "ours_learnable alpha=4/255", "II"): "83.71",
        ("MI-FGSM", "ours_learnable alpha=4/255", "VII"): "84.89",
    }
    origins = {r["printed"]: r["same_value_in"] for r in records("disagreements") if r["table"] == "II"}
    assert origins["84.89"] == "VII, MI-FGSM, ours_learnable alpha=4/255"
    assert origins["83.71"] == "VII, MI-FGSM, ours_learnable alpha=1/255"


def test_underlines_that_are_not_second_are_found() -> None:
    found = {
        (r["table"], r["row"], r["underlined"].split()[0]): int(r["rank"])
        for r in records("marks")
        if r["rank"] != "None"
    }
    assert found == {
        ("II", "NAA", "at_pgd"): 3,
        ("II", "L2T", "ours_learnable"): 5,
        ("III", "NAA", "at_pgd"): 4,
        ("III", "L2T", "ours_fixed"): 4,
        ("IV", "Clean", "ours_learnable"): 4,
        ("IV", "L2T", "ours_fixed"): 6,
        # Second behind cells that are illegible.
        ("IV", "Diff-PGD", "ours_learnable"): 1,
        ("IX", "Mean", "at_pgd"): 1,
    }


def test_rows_without_underline_are_found() -> None:
    found = {(r["table"], r["row"]) for r in records("marks") if r["rank"] == "None"}
    assert {("IV", "PGD"), ("IV", "MI-FGSM"), ("IV", "BSR"), ("IV", "NAA"), ("VIII", "MI-FGSM")} <= found


def test_one_place_flips_when_means_are_recomputed() -> None:
    flipped = [record for record in records("ranks_of_means") if record["flips"] == "yes"]
    (flip,) = flipped
    assert (flip["table"], flip["place"]) == ("III", "2")
    assert flip["by_printed_mean"] == "ours_fixed eps_t=64/255 (54.79)"
    assert flip["by_recomputed_mean"] == "rat_trades eps=8/255 (54.50)"


def test_bit_depth_reduction_does_nothing_against_the_same_attacks_in_every_table() -> None:
    found = records("bit_depth")
    assert len(found) == 7 + 7 + 10
    by_effect = {w: {r["row"] for r in found if r["as_undefended"] == w} for w in ("yes", "no")}
    assert by_effect == {
        "yes": {"NAA", "RPA", "L2T", "GRA", "BSR", "Diff-PGD"},
        "no": {"PGD", "I-FGSM", "MI-FGSM", "DI-FGSM"},
    }
    assert "by -12.27 to 25.42 points" in explanation("bit_depth")


def test_gra_is_mi_fgsm_in_most_columns() -> None:
    found = records("equal_attacks")
    assert Counter(r["equal"] for r in found) == {"yes": 11, "no": 3}
    assert [r["column"].split()[0] for r in found if r["equal"] == "no"] == ["bdr", "at_pgd", "rat_trades"]
    (undefended,) = (r for r in found if r["column"] == "none")
    assert (undefended["MI-FGSM"], undefended["GRA"], undefended["difference"]) == ("43.98", "43.94", "-0.04")


def test_diffpure_on_imagenet_is_worst_against_three_attacks() -> None:
    apart = {(r["row"], r["purified"]) for r in records("purified") if (r["table"], r["apart"]) == ("IV", "yes")}
    assert apart == {("NAA", "57.50"), ("RPA", "57.46"), ("L2T", "55.81")}
    (check,) = (check for check in audit(parse(TEXT), WORDS) if check.name == "purified")
    assert "keeps 55.81 to 57.50 under NAA, RPA and L2T and 63.81 to 73.00 under the other attacks" in check.finding
    assert "NAA leaves 44.42 and MI-FGSM 43.98 there, with DiffPure 57.50 and 71.00" in check.explanation
    assert {r["table"]: r["widest_gap"] for r in records("purified")} == {"II": "0.59", "III": "0.98", "IV": "6.31"}


def test_words_that_the_numbers_contradict_are_found() -> None:
    found = {(r["characteristic"], r["dataset"], r["graded_lower"].split(":")[0]) for r in records("words")}
    assert ("Acc. drop on clean inputs", "CIFAR-100", "DiffPure") in found
    assert ("Acc. on TAEs", "CIFAR-10", "JPEG") in found


def made_up(*rows: str) -> Published:
    return parse("\n".join(["table,dataset,attack,defense,param,metric,value,mark", *rows]))


def test_an_illegible_value_is_none() -> None:
    published = made_up("II,D,PGD,none,,robust_acc,,none", "II,D,FGSM,none,,robust_acc,1.50,none")
    assert published.value("II", "PGD", PrintedColumn("none")) is None
    assert str(published.value("II", "FGSM", PrintedColumn("none"))) == "1.50"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["II,D,PGD,none,,robust_acc,1O,none"], "line 2, has the value '1O'"),
        (["II,D,PGD,none,,robust_acc,1,none"] * 2, "line 3, repeats a cell of Table II"),
        (["II,D,PGD,none"], "line 2, does not have 8 fields"),
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence(rows: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        made_up(*rows)


def test_a_file_with_other_columns_is_refused() -> None:
    with pytest.raises(UserError, match="does not have the columns table, dataset"):
        parse("table,value\nII,3\n")


def test_the_rendered_audit_shows_every_record() -> None:
    checks = audit(parse(TEXT), WORDS)
    rendered = render_audit(checks)
    assert sum(line.startswith("| ") for line in rendered["audit.md"].splitlines()) == sum(
        len(check.records) + 2 for check in checks if check.records
    )
    assert len(rendered["audit.csv"].splitlines()) == 1 + sum(len(check.records) for check in checks)
