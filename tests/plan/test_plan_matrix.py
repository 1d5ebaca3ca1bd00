"""The plan of the experiment `paper` is the paper's matrix: every checkpoint, TAE set and cell, and no other."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections import Counter, defaultdict
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.projects import ROOT, shipped_config, shipped_plan
from trigger_activation.plan import Artifact, build_plan
from trigger_activation.plan.config.values import SLUG
from trigger_activation.plan.kinds import KINDS
from trigger_activation.run.workflow import Workflow

TABLES = [f"table{number}" for number in range(1, 12)]
STORED_PURIFIERS = {"nrp", "diffpure"}
DERIVED_TABLES = {"VI"}
"""The matrix lists nothing for a table of verdicts: it shows what other tables show."""

CHECKPOINT = re.compile(r"results/checkpoints/(?P<dataset>.+)/(?P<arch>.+)__(?P<paradigm>.+)/seed0\.safetensors")
TAE_SET = re.compile(r"results/taes/(?P<dataset>.+)/(?P<arch>.+)__(?P<surrogate>.+)/seed0/(?P<attack>.+)\.npz")
CELL = re.compile(r"results/cells/(?P<dataset>.+)/(?P<surrogate>.+)/(?P<attack>.+)/(?P<column>.+)\.json")

TAE_OF_THE_DEMO = "results/taes/fashion16/vgg-s__standard/seed0/pgd.npz"

Names = tuple[str, ...]


@cache
def matrix(name: str) -> list[dict[str, str]]:
    with (ROOT / f"tests/data/matrix_{name}.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        if row.get("attack") == "clean":
            row["surrogate_paradigm"] = "clean"  # the clean row has no surrogates; paths need a name all the same
    return rows


def expected(name: str, *columns: str) -> Counter[Names]:
    return Counter(tuple(row[column] for column in columns) for row in matrix(name))


def parsed(pattern: re.Pattern[str], path: str) -> Names:
    match = pattern.fullmatch(path)
    assert match, path
    return match.groups()


@cache
def of_tables() -> dict[str, Artifact]:
    """All that Tables I-XI need, by path."""
    targets = shipped_plan().targets["paper"]
    return {artifact.path: artifact for artifact in shipped_plan().upstream(targets[name] for name in TABLES)}


def of_kind(kind: str) -> list[Artifact]:
    return [artifact for artifact in of_tables().values() if artifact.kind.name == kind]


def accuracy_tables() -> list[Artifact]:
    return [table for table in of_kind("table") if table.settings["kind"] == "accuracy"]


def upstream_of_table(number: str) -> set[str]:
    (table,) = (table for table in of_kind("table") if table.settings.get("number") == number)
    return {artifact.path for artifact in shipped_plan().upstream([table.path])}


def used_by(pattern: re.Pattern[str], kind: str) -> dict[Names, set[str]]:
    """Name of each artifact -> the tables that need it."""
    users: defaultdict[Names, set[str]] = defaultdict(set)
    for number in sorted({table.settings["number"] for table in of_kind("table") if "number" in table.settings}):
        for path in upstream_of_table(number) if number not in DERIVED_TABLES else ():
            if of_tables()[path].kind.name == kind:
                users[parsed(pattern, path)].add(number)
    return users


@pytest.mark.parametrize(("kind", "count"), [("checkpoint", 162), ("tae", 322), ("purified", 266), ("cell", 469)])
def test_tables_need_as_many_artifacts_as_the_paper(kind: str, count: int) -> None:
    assert len(of_kind(kind)) == count


def test_figures_need_studies_and_nothing_else_beside_what_tables_need() -> None:
    plan = shipped_plan()
    tables = {a.path for a in plan.upstream(p for p in plan.targets["paper"].values() if p.endswith(".tex"))}
    figures = plan.upstream(p for p in plan.targets["paper"].values() if plan[p].kind.name == "figure")
    added = Counter(a.kind.name for a in figures if a.path not in tables)
    assert added == {"flip": 1, "concept": 1, "theory": 7, "figure": 6}


def test_accuracy_tables_show_501_cells() -> None:
    assert sum(len(table.inputs["cells"]) for table in accuracy_tables()) == 501


def test_eleven_tables_are_planned() -> None:
    assert len(of_kind("table")) == 11


def test_checkpoints_are_those_of_the_matrix() -> None:
    planned = Counter(parsed(CHECKPOINT, checkpoint.path) for checkpoint in of_kind("checkpoint"))
    assert planned == expected("checkpoints", "dataset", "arch", "paradigm")


def test_checkpoints_are_trained_as_long_as_the_matrix_says() -> None:
    planned = {(*parsed(CHECKPOINT, c.path), str(c.settings["training"]["epochs"])) for c in of_kind("checkpoint")}
    assert planned == set(expected("checkpoints", "dataset", "arch", "paradigm", "epochs"))


def test_tables_share_checkpoints_as_in_the_matrix() -> None:
    shared = {
        (row["dataset"], row["arch"], row["paradigm"]): set(row["used_by_tables"].split())
        for row in matrix("checkpoints")
    }
    assert used_by(CHECKPOINT, "checkpoint") == shared


def test_tae_sets_are_those_of_the_matrix() -> None:
    planned = Counter(parsed(TAE_SET, tae.path) for tae in of_kind("tae"))
    assert planned == expected("tae_sets", "dataset", "surrogate_arch", "surrogate_paradigm", "attack")


def test_tae_sets_have_as_many_images_as_the_matrix_says() -> None:
    planned = {(*parsed(TAE_SET, tae.path), str(tae.settings["images"])) for tae in of_kind("tae")}
    assert planned == set(expected("tae_sets", "dataset", "surrogate_arch", "surrogate_paradigm", "attack", "n_images"))


def test_tables_share_tae_sets_as_in_the_matrix() -> None:
    shared = {
        (row["dataset"], row["surrogate_arch"], row["surrogate_paradigm"], row["attack"]): set(
            row["used_by_tables"].split()
        )
        for row in matrix("tae_sets")
    }
    assert used_by(TAE_SET, "tae") == shared


def test_shown_cells_are_those_of_the_matrix() -> None:
    shown = Counter(
        (table.settings["number"], *parsed(CELL, cell)) for table in accuracy_tables() for cell in table.inputs["cells"]
    )
    assert shown == expected("cells", "table", "dataset", "surrogate_paradigm", "attack", "column")


def test_distinct_cells_are_those_of_the_matrix() -> None:
    planned = {parsed(CELL, cell.path) for cell in of_kind("cell")}
    assert planned == set(expected("cells", "dataset", "surrogate_paradigm", "attack", "column"))


def test_tables_average_over_the_pairs_of_the_matrix() -> None:
    planned = {(table.settings["number"], table.settings["pairs"]) for table in accuracy_tables()}
    assert planned == {(row["table"], row["pair_set"]) for row in matrix("cells") if row["attack"] != "clean"}


def test_victims_are_those_of_the_matrix() -> None:
    planned = {
        (*parsed(CELL, cell.path), parsed(CHECKPOINT, victim)[2])
        for cell in of_kind("cell")
        for victim in cell.inputs["victims"]
    }
    columns = ("dataset", "surrogate_paradigm", "attack", "column", "victim_paradigm")
    assert planned == set(expected("cells", *columns))


def test_cells_evaluate_as_many_pairs_as_the_matrix_says() -> None:
    for row in matrix("cells"):
        path = f"results/cells/{row['dataset']}/{row['surrogate_paradigm']}/{row['attack']}/{row['column']}.json"
        cell = of_tables()[path]
        victims, images = (len(cell.inputs[role]) for role in ("victims", "images"))
        same_architecture = victims if row["pair_set"] == "off_diagonal" else 0
        assert victims * images - same_architecture == int(row["n_evals"]), path


def test_purified_sets_are_those_that_the_matrix_needs() -> None:
    architectures = defaultdict(set)
    for row in matrix("tae_sets"):
        architectures[row["dataset"]].add(row["surrogate_arch"])
    needed = set()
    for row in matrix("cells"):
        if row["preproc"] in STORED_PURIFIERS:
            start = f"results/purified/{row['dataset']}"
            if row["attack"] == "clean":
                needed.add(f"{start}/clean/{row['preproc']}.npz")
            else:
                needed |= {
                    f"{start}/{arch}__{row['surrogate_paradigm']}/seed0/{row['attack']}__{row['preproc']}.npz"
                    for arch in architectures[row["dataset"]]
                }
    assert {purified.path for purified in of_kind("purified")} == needed


def test_purified_cells_read_purified_sets_only() -> None:
    for cell in of_kind("cell"):
        if cell.settings["column"] in STORED_PURIFIERS:
            assert all(path.startswith("results/purified/") for path in cell.inputs["images"])


def test_the_supplementary_table_adds_a_control_and_white_box_measurements() -> None:
    upstream = shipped_plan().upstream([shipped_plan().targets["paper"]["supplementary"]])
    added = [artifact for artifact in upstream if artifact.path not in of_tables()]
    assert Counter(artifact.kind.name for artifact in added) == {"checkpoint": 5, "cell": 3, "whitebox": 7, "table": 1}
    assert {parsed(CHECKPOINT, a.path)[2] for a in added if a.kind.name == "checkpoint"} == {"noise_64"}
    assert {parsed(CELL, a.path)[3] for a in added if a.kind.name == "cell"} == {"noise_64"}


def test_white_box_victims_are_those_of_the_seeds_that_the_protocol_asks_for() -> None:
    path = "results/checkpoints/fashion16/{}__at/seed0.safetensors"
    measured = shipped_plan()["results/cells/fashion16/measured/whitebox/at.json"]
    assert measured.inputs["victims"] == (path.format("vgg-s"), path.format("resnet18-xs"))
    attack = shipped_plan()[TAE_OF_THE_DEMO].settings["attack"]
    assert measured.settings["attack"] == attack | {"step_size": "0.25*eps"}
    assert attack["step_size"] == "0.095625*eps"


def test_planning_twice_gives_the_same_recipes() -> None:
    again = build_plan(shipped_config())
    assert {path: artifact.recipe for path, artifact in again.artifacts.items()} == {
        path: artifact.recipe for path, artifact in shipped_plan().artifacts.items()
    }
    assert again.targets == shipped_plan().targets


def test_recipes_differ_between_artifacts() -> None:
    recipes = [artifact.recipe for artifact in shipped_plan().artifacts.values()]
    assert len(set(recipes)) == len(recipes)


def test_inputs_come_before_what_is_made_of_them() -> None:
    seen: set[str] = set()
    for artifact in shipped_plan().of_experiment("paper"):
        assert set(artifact.input_paths) <= seen
        seen.add(artifact.path)


def test_planning_imports_no_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from trigger_activation.plan.config import load_config; "
        "from trigger_activation.plan import build_plan; build_plan(load_config(Path('config'))); "
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_everything_in_the_demo_can_be_made() -> None:
    assert [a.obstacle for a in shipped_plan().of_experiment("demo") if a.obstacle] == []


def test_a_demo_cell_has_a_column_per_seed_that_the_protocol_asks_for() -> None:
    cell = shipped_plan()["results/cells/fashion16/standard/pgd/at.json"]
    assert cell.settings["seeds"] == [0, 1, 2]
    assert len(cell.inputs["victims"]) == 3 * len(cell.settings["networks"])


def test_surrogates_of_a_seed_attack_victims_of_that_seed() -> None:
    taes = "results/taes/fashion16/{}__standard/seed{}/pgd.npz"
    for column, seeds in (("at", 3), ("none", 3), ("jpeg_q50", 3), ("rat", 1)):
        cell = shipped_plan()[f"results/cells/fashion16/standard/pgd/{column}.json"]
        networks = cell.settings["networks"]
        assert cell.inputs["images"] == tuple(taes.format(name, seed) for seed in range(seeds) for name in networks)


def test_adaptive_surrogates_are_those_of_the_seed_too() -> None:
    cell = shipped_plan()["results/cells/fashion16/fixed_64/pgd/fixed_64.json"]
    assert [path.split("/")[-2] for path in cell.inputs["images"]] == [f"seed{seed}" for seed in (0, 0, 1, 1, 2, 2)]


def planned_files() -> list[tuple[Artifact, str]]:
    return [(a, file) for a in shipped_plan().artifacts.values() for file in (*a.files, *a.by_products)]


def test_paths_are_made_of_slugs() -> None:
    for _, file in planned_files():
        for part in file.rpartition(".")[0].split("/"):
            for name in part.split("__"):
                assert re.fullmatch(SLUG, name), file


def test_no_file_belongs_to_two_artifacts() -> None:
    assert [file for file, count in Counter(file for _, file in planned_files()).items() if count > 1] == []


@cache
def output_patterns() -> dict[str, list[re.Pattern[str]]]:
    """Rule -> the regular expressions of its outputs, with the workflow's own wildcard constraints."""
    constraints: dict[str, str] = Workflow.constraints.fget(SimpleNamespace(config=shipped_config()))
    return {
        name: [as_expression(file, constraints) for file in files] for name, files in patterns_in_rule_files().items()
    }


def patterns_in_rule_files() -> dict[str, list[str]]:
    """Rule -> its outputs, as an expert reads them: by pathvars, and inherited where a rule says nothing of its own."""
    text = "".join(file.read_text() for file in sorted((ROOT / "workflow/rules").glob("*.smk")))
    (surrogate,) = re.findall(r'^    surrogate="(.+)",', text, re.MULTILINE)
    rules = re.findall(r"^(?:rule|use rule \w+ as) (\w+)(?: with)?:\n(.*?)(?=^\S|\Z)", text, re.DOTALL | re.MULTILINE)
    found = {}
    for name, body in rules:
        pathvar = re.search(r'^        file="(.+)",', body, re.MULTILINE)
        file = pathvar[1].replace("<surrogate>", surrogate) if pathvar else ""
        own = re.search(r"^    output:\n(.*?)^    \w+:", body, re.DOTALL | re.MULTILINE)
        outputs = re.findall(r'"(<file>|(?:results|paper_tables)/.+?)"', own[1]) if own else ["<file>"]
        found[name] = [output.replace("<file>", file) for output in outputs]
    return found


def as_expression(pattern: str, constraints: dict[str, Any]) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", pattern)
    named = [f"(?P<{part}>{constraints[part]})" if index % 2 else re.escape(part) for index, part in enumerate(parts)]
    return re.compile("".join(named))


def rules_that_make(file: str) -> set[str]:
    return {
        rule for rule, patterns in output_patterns().items() if any(pattern.fullmatch(file) for pattern in patterns)
    }


def test_every_kind_has_its_rule_and_every_rule_its_kind() -> None:
    rows = {kind.rule_name: [kind.pattern, *kind.companions, *kind.by_products] for kind in KINDS}
    assert patterns_in_rule_files() == rows


def test_every_planned_file_is_made_by_one_rule() -> None:
    assert {file: rules for _, file in planned_files() if len(rules := rules_that_make(file)) != 1} == {}


def test_all_files_of_an_artifact_are_made_by_the_same_rule() -> None:
    for artifact in shipped_plan().artifacts.values():
        files = (*artifact.files, *artifact.by_products)
        assert len(set().union(*map(rules_that_make, files))) == 1, artifact.path


def test_a_rule_makes_as_many_files_as_the_plan_says() -> None:
    for artifact in shipped_plan().artifacts.values():
        (rule,) = rules_that_make(artifact.path)
        assert len(output_patterns()[rule]) == len(artifact.files) + len(artifact.by_products), artifact.path


def test_wildcards_give_back_the_names_of_a_path() -> None:
    path = "results/taes/fashion16/resnet18-xs__learn_0.5/seed0/pgd.npz"
    (match,) = (match for pattern in output_patterns()["tae"] if (match := pattern.fullmatch(path)))
    assert match.groupdict() == {
        "protocol": "fashion16",
        "network": "resnet18-xs",
        "paradigm": "learn_0.5",
        "seed": "0",
        "attack": "pgd",
    }
