"""The supplementary table rendered from made-up cells: which mean each entry is, and what the caption says of it."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from tests.report.test_tables import cell
from tests.support.means import mean_of
from tests.support.projects import Project, shipped_plan
from trigger_activation.plan import Plan
from trigger_activation.plan.contents import Content, WhiteBoxStudy
from trigger_activation.report.tables import render
from trigger_activation.science.evaluation.results import PairMean

MEASURED = {"clean": 80.0, "pgd": 12.0, "autoattack": 3.5}
TRANSFER = {"all": 60.0, "off_diagonal": 65.25, "same_architecture": 50.0}
ONE_SEED = ("noise_64", "rat", "tdat")


def three_seeds(value: float) -> PairMean:
    return mean_of(value - 1.5, value, value + 1.5, images=1.0)


def made_up(path: str) -> Content:
    """Content of a cell or of a measurement; the victims are told apart by whole points."""
    victims = ["none", "standard", "noise_64", "at", "rat", "tdat", "fixed_64", "learn_32", "learn_4"]
    victim = path.rpartition("/")[2].removesuffix(".json")
    offset = max(victims.index(victim) - 1, 0)
    if "/measured/" in path:
        means = {name: mean_of(value + offset, images=1.0) for name, value in MEASURED.items()}
        return WhiteBoxStudy(path=path, paradigm=victim, victims=[], seeds=[0], images=75, correct={}, means=means)
    means = {name: three_seeds(value + offset) for name, value in TRANSFER.items()}
    if "/clean/clean/" in path:
        means = {"all": means["all"]}
    if victim in ONE_SEED:
        means.pop("same_architecture", None)
    attack = path.split("/")[-2]
    return cell(attack, victim, means["all"].mean, path=path, means=means, seeds=[0, 1, 2], images=2000)


def rendered(plan: Plan, experiment: str = "demo") -> dict[str, str]:
    table = plan[plan.targets[experiment]["supplementary"]]
    return render(table.parameters, [made_up(path) for path in table.inputs["cells"]])


def markdown_rows(text: str) -> dict[str, list[str]]:
    """Label -> entries without marks."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: [entry.strip("*").replace("<u>", "").replace("</u>", "") for entry in row[1:]] for row in lines}


@pytest.fixture(scope="module")
def demo() -> dict[str, str]:
    return rendered(shipped_plan())


def test_rows_go_from_clean_images_to_autoattack(demo: dict[str, str]) -> None:
    assert list(markdown_rows(demo[".md"]))[2:] == [
        "Clean",
        "PGD, all pairs",
        "PGD, different architectures",
        "PGD, same architecture, other seed",
        "MI-FGSM, all pairs",
        "MI-FGSM, different architectures",
        "MI-FGSM, same architecture, other seed",
        "White-box PGD-20 (step eps/4)",
        "White-box AutoAttack",
    ]


def test_a_dash_stands_where_a_single_seed_has_no_such_pair(demo: dict[str, str]) -> None:
    row = markdown_rows(demo[".md"])["PGD, same architecture, other seed"]
    assert [entry == "–" for entry in row] == [False, True, False, True, True, False, False]
    assert "A dash: victims of one seed" in demo[".md"]
    assert demo[".csv"].count("\npgd,standard,same_architecture") == 4


@pytest.mark.parametrize(
    ("row", "first"),
    [
        ("Clean", "60.0"),
        ("PGD, all pairs", "60.0"),
        ("PGD, different architectures", "65.2"),
        ("White-box PGD-20 (step eps/4)", "12.0"),
        ("White-box AutoAttack", "3.5"),
    ],
)
def test_each_row_shows_its_own_mean_of_every_victim(demo: dict[str, str], row: str, first: str) -> None:
    entries = [entry.partition(" ± ")[0].strip("*") for entry in markdown_rows(demo[".md"])[row]]
    assert entries == [f"{float(first) + step:.1f}" for step in range(7)]


def test_only_rows_of_several_seeds_have_a_deviation(demo: dict[str, str]) -> None:
    rows = markdown_rows(demo[".md"])
    assert all("± 1.5" in entry for entry in rows["PGD, all pairs"])
    assert not any("±" in entry for entry in rows["White-box AutoAttack"])


@pytest.mark.parametrize(
    "fact",
    [
        "first 50 test images and the networks of the first seed",
        "100 iterations and Square for 5,000 queries",
        "2,000 test images",
        "White-box rows: How far other networks would move a cell of one seed is unknown",
        "other images move it by up to ±2.3 points (95 %).",
        "Transfer rows: 95 % intervals over seeds and images reach",
        "Noise is a control",
        "Transfer robustness is not robustness",
        "AT with step size 4/255 instead of 2/255",
    ],
)
def test_the_caption_says(demo: dict[str, str], fact: str) -> None:
    assert fact in demo[".md"].splitlines()[0]


def test_the_csv_tells_transfer_from_white_box(demo: dict[str, str]) -> None:
    data = pd.read_csv(io.StringIO(demo[".csv"]), keep_default_na=False)
    pgd = data[(data.attack == "pgd") & (data["column"] == "fixed_64")]
    assert list(zip(pgd.surrogates, pgd.pairs, pgd.accuracy, pgd.images, strict=True)) == [
        ("standard", "all", 65.0, 2000),
        ("standard", "off_diagonal", 70.25, 2000),
        ("standard", "same_architecture", 55.0, 2000),
        ("victim", "", 17.0, 75),
    ]
    assert len(data) == 9 * 7 - 2 * len(ONE_SEED)


def test_adaptive_rows_take_surrogates_of_the_victims_paradigm(small: Project) -> None:
    plan = small.plan()
    table = plan[plan.targets["small"]["supplementary"]]
    adaptive = [path for path in table.inputs["cells"] if "/pgd/" in path]
    assert adaptive == ["results/cells/mini/standard/pgd/none.json", "results/cells/mini/learn_4/pgd/learn_4.json"]
    text = rendered(plan, "small")[".md"]
    assert "PGD, different architectures, adaptive" in markdown_rows(text)
    assert "transfer attacks use surrogates trained and deployed as the victim is" in text


def test_a_table_without_white_box_rows_needs_and_mentions_none(small: Project) -> None:
    with small.edited("tables/supplementary.yaml") as table:
        del table["rows"][2:]
    with small.edited("protocols/mini.yaml") as protocol:
        del protocol["white_box"]
    plan = small.plan()
    assert not any(artifact.kind.name == "whitebox" for artifact in plan.artifacts.values())
    assert "White-box" not in rendered(plan, "small")[".md"]
