"""Tables of stronger attackers rendered from made-up cells: which mean each entry is, and what captions say."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from tests.report.test_supplementary import made_up, markdown_rows
from tests.support.means import mean_of
from tests.support.projects import Project
from tests.support.stronger import TABLES, with_stronger_tables
from trigger_activation.plan import Plan, build_plan
from trigger_activation.plan.config import load_config
from trigger_activation.plan.contents import Content, InformedStudy
from trigger_activation.report.page.details import sheets
from trigger_activation.report.tables import render

DEFENSES = ("rp_s1.2", "nrp", "diffpure")
KNOWLEDGE = {"victim": 20.0, "trigger": 40.0, "trigger_trained": 30.0}


def invented(path: str) -> Content:
    knows, attack, file = path.split("/")[-3:]
    if "/informed/" not in path:
        column = file.removesuffix(".json")
        return made_up(path.replace(column, "none") if column in DEFENSES else path)
    means = {attack if knows == "victim" else "off_diagonal": mean_of(KNOWLEDGE[knows], KNOWLEDGE[knows])}
    given = {"knows": knows, "attack": attack, "column": file.removesuffix(".json"), "victims": [], "seeds": [0, 1]}
    return InformedStudy(path=path, **given, images=10, correct=[], means=means)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    project = Project.shipped(tmp_path_factory.mktemp("stronger"))
    with_stronger_tables(project, "fashion16", "demo", surrogates=3, images=500, seeds=2, bpda=["diffpure"])
    return build_plan(load_config(project.config))


@pytest.fixture(scope="module")
def tables(plan: Plan) -> dict[str, dict[str, str]]:
    asked = {name: plan[plan.targets["demo"][name]] for name in TABLES}
    return {
        name: render(table.parameters, [invented(path) for path in table.inputs["cells"]])
        for name, table in asked.items()
    }


@pytest.mark.parametrize(
    ("table", "row", "value"),
    [
        ("stronger", "Square on the victim", "20.0"),
        ("stronger_preprocessing", "EOT-PGD on the victim", "20.0"),
        ("stronger_trigger", "MI-FGSM, different architectures, trigger known", "40.0"),
        ("stronger_trigger", "MI-FGSM, different architectures, trained with the known trigger", "30.0"),
    ],
)
def test_each_row_shows_the_mean_of_its_studies(
    table: str, row: str, value: str, tables: dict[str, dict[str, str]]
) -> None:
    assert {entry.partition(" ± ")[0] for entry in markdown_rows(tables[table][".md"])[row]} == {value}


@pytest.mark.parametrize(
    ("table", "fact"),
    [
        (
            "stronger",
            "preprocessing included. These attackers are measured on the first 500 test images and",
        ),
        ("stronger", "the networks of the first 2 seeds"),
        ("stronger", "Rows of attackers who know more: 95 % intervals over seeds and images reach up to ±0.0 points"),
        (
            "stronger_trigger",
            "it is added to undefended surrogates; attackers who train with the known trigger",
        ),
        (
            "stronger_preprocessing",
            "BPDA for DiffPure). These attackers are measured on the first 10 test images and",
        ),
        ("stronger_preprocessing", "Substitute: NRP (xs), trained here, stands in for the network of NRP."),
        ("stronger_preprocessing", "DiffPure with step 0.02 instead of 0.001"),
    ],
)
def test_captions_say(table: str, fact: str, tables: dict[str, dict[str, str]]) -> None:
    assert fact in tables[table][".md"].splitlines()[0]


@pytest.mark.parametrize("table", ["stronger", "stronger_trigger"])
def test_captions_speak_only_of_what_is_shown(table: str, tables: dict[str, dict[str, str]]) -> None:
    caption = tables[table][".md"].splitlines()[0]
    assert not any(name in caption for name in ("BPDA", "EOT", "DiffPure", "Substitute"))


def test_the_csv_tells_what_attackers_know(tables: dict[str, dict[str, str]]) -> None:
    data = pd.read_csv(io.StringIO(tables["stronger_trigger"][".csv"]), keep_default_na=False)
    own = data[(data["column"] == "fixed_64") & (data.attack == "mifgsm")]
    assert list(zip(own.surrogates, own.pairs, own.images, strict=True)) == [
        ("standard", "off_diagonal", 2000),
        ("same", "off_diagonal", 2000),
        ("trigger", "off_diagonal", 10),
        ("trigger_trained", "off_diagonal", 10),
    ]


def test_the_page_tells_about_a_study() -> None:
    content = invented("results/cells/fashion16/measured/informed/victim/square/fixed_64.json")
    (sheet,) = sheets(content, {}, None)
    assert ("knows", ["victim"]) in sheet.rows
