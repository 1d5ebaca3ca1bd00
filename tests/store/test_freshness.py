"""Verdicts: what makes an artifact valid, stale or missing, and which recipes a change of config reaches."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.projects import Given, Project, one_sentence, shipped_plan, write_artifact
from trigger_activation.errors import UserError
from trigger_activation.plan import Artifact, Plan, kinds
from trigger_activation.plan.config.values import WHITE_BOX
from trigger_activation.plan.graph import Inputs
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.store.freshness import Freshness, Status, differences
from trigger_activation.store.records import (
    read_content,
    read_record,
    sidecar,
    write_record,
)

NAMES = {
    "dataset": {"dataset": "d", "split": "test"},
    "tae": {"protocol": "p", "network": "net", "paradigm": "standard", "seed": "0", "attack": "pgd"},
    "cell": {"protocol": "p", "surrogates": "standard", "attack": "pgd", "column": "none"},
    "table": {"experiment": "e", "table": "table1"},
}
TEST = "results/datasets/d/test.npz"
TAES = "results/taes/p/net__standard/seed0/pgd.npz"
CELL = "results/cells/p/standard/pgd/none.json"
PREDICTIONS = "results/predictions/p/standard/pgd/none.npz"
TABLE = "paper_tables/e/table1.tex"
CSV = "paper_tables/e/table1.csv"
ALL = (TEST, TAES, CELL, TABLE)


def chain(steps: int = 20, version: int = 1, title: str = "Accuracy", data_seed: int = 0) -> Plan:
    """A data set, a TAE set, a cell with a by-product, a table with companions."""
    plan = Plan()

    def add(kind: str, parameters: dict[str, Any], inputs: Inputs, **versions: int) -> None:
        plan.add(Artifact(kinds.named(kind), NAMES[kind], Given(parameters), {"stage": 1, **versions}, inputs))

    attack = {"class": "pgd", "eps": "8/255", "steps": steps}
    add("dataset", {"seed": data_seed}, {})
    add("tae", {"attack": attack, "images": 1000}, {"test": (TEST,)}, attack=version)
    add("cell", {"column": "none"}, {"images": (TAES,)})
    add("table", {"title": title}, {"cells": (CELL,)})
    assert tuple(plan.artifacts) == ALL
    return plan


def make_all(plan: Plan) -> None:
    for path in ALL:
        write_artifact(plan, path)


def verdict(plan: Plan, path: str, complete: bool = False) -> tuple[Status, str]:
    found = Freshness(plan, complete).verdict(path)
    return found.status, one_sentence(found.reason)


def statuses(plan: Plan) -> dict[str, Status]:
    freshness = Freshness(plan)
    return {path: freshness.verdict(path).status for path in ALL}


def stale_reason(plan: Plan, path: str) -> str:
    status, reason = verdict(plan, path)
    assert status is Status.STALE
    return reason


def edit_json(path: str, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(Path(path).read_text())
    change(document)
    Path(path).write_text(json.dumps(document))


@pytest.fixture
def made(folder: Path) -> Plan:  # noqa: ARG001
    """A plan whose artifacts are all there."""
    plan = chain()
    make_all(plan)
    return plan


def test_what_was_made_as_planned_is_valid(made: Plan) -> None:
    assert set(statuses(made).values()) == {Status.VALID}


@pytest.mark.usefixtures("folder")
def test_what_was_never_made_is_missing() -> None:
    assert verdict(chain(), TAES) == (Status.MISSING, f"{TAES} does not exist")


def test_an_artifact_without_its_companion_is_missing(made: Plan) -> None:
    Path(CSV).unlink()
    assert verdict(made, TABLE) == (Status.MISSING, f"{CSV} does not exist")


def test_a_path_outside_the_plan_is_refused(made: Plan) -> None:
    with pytest.raises(UserError, match=r"nothing\.npz is in no experiment's plan"):
        Freshness(made).verdict("results/nothing.npz")


def test_an_artifact_without_a_record_is_stale(made: Plan) -> None:
    sidecar(TAES).unlink()
    assert stale_reason(made, TAES) == "it has no provenance record"


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", "{}", '{"path": 1}', "\x00"])
def test_a_damaged_record_is_stale(made: Plan, damage: str) -> None:
    sidecar(TAES).write_text(damage)
    assert f"{TAES}.prov.json is damaged: delete it" in stale_reason(made, TAES)


def test_a_record_that_is_no_text_is_stale(made: Plan) -> None:
    sidecar(TAES).write_bytes(b"\xff\xfe\x00")
    assert "damaged" in stale_reason(made, TAES)


def test_a_record_that_names_no_files_is_no_proof(made: Plan) -> None:
    edit_json(f"{TAES}.prov.json", lambda record: record.pop("files"))
    assert verdict(made, TAES)[0] is Status.STALE


def test_an_input_whose_record_names_no_files_is_no_crash(made: Plan) -> None:
    edit_json(f"{TEST}.prov.json", lambda record: record.pop("files"))
    verdict(made, TAES)


@pytest.mark.parametrize("key", ["parameters", "environment", "checks"])
@pytest.mark.parametrize("path", [TAES, CELL])
def test_an_edited_record_is_stale(made: Plan, path: str, key: str) -> None:
    def edit(document: dict[str, Any]) -> None:
        document.get("provenance", document)[key] = {"seconds": 1}

    edit_json(path if path == CELL else f"{path}.prov.json", edit)
    assert "was edited" in stale_reason(made, path)


@pytest.mark.parametrize("path", [TAES, CELL])
def test_a_record_from_before_there_were_seals_is_valid(made: Plan, path: str) -> None:
    edit_json(
        path if path == CELL else f"{path}.prov.json",
        lambda document: document.get("provenance", document).pop("seal"),
    )
    assert verdict(made, path)[0] is Status.VALID


def test_a_changed_parameter_is_named(made: Plan) -> None:  # noqa: ARG001
    assert stale_reason(chain(steps=10), TAES) == "its recipe changed: attack.steps 20 -> 10"


def test_a_changed_version_is_named(made: Plan) -> None:  # noqa: ARG001
    assert stale_reason(chain(version=2), TAES) == "its recipe changed: version of attack 1 -> 2"


def test_a_changed_input_recipe_is_named(made: Plan) -> None:  # noqa: ARG001
    assert stale_reason(chain(data_seed=1), TAES) == "the recipe of one of its inputs changed"


def test_a_changed_parameter_makes_all_that_depends_on_it_stale(made: Plan) -> None:  # noqa: ARG001
    assert statuses(chain(steps=10)) == {
        TEST: Status.VALID,
        TAES: Status.STALE,
        CELL: Status.STALE,
        TABLE: Status.STALE,
    }


def test_a_changed_caption_makes_the_table_alone_stale(made: Plan) -> None:  # noqa: ARG001
    changed = chain(title="Robustness")
    assert [path for path, status in statuses(changed).items() if status is Status.STALE] == [TABLE]


def test_a_record_of_another_artifact_is_found(made: Plan) -> None:
    os.replace(sidecar(TEST), sidecar(TAES))  # noqa: PTH105
    assert stale_reason(made, TAES) == f"its record belongs to {TEST}"


def test_a_changed_size_is_stale(made: Plan) -> None:
    with Path(TAES).open("a") as stream:
        stream.write("!")
    assert re.fullmatch(rf"{TAES} has \d+ bytes, not the recorded \d+", stale_reason(made, TAES))


def test_a_changed_size_of_a_companion_is_stale(made: Plan) -> None:
    Path(CSV).write_text("")
    assert stale_reason(made, TABLE).startswith(f"{CSV} has 0 bytes")


def test_an_input_that_was_made_again_with_other_bytes_is_found(made: Plan) -> None:
    write_artifact(made, TEST, content="other")
    assert stale_reason(made, TAES) == f"it was made from other bytes of {TEST}"


def test_an_input_that_was_made_again_with_the_same_bytes_changes_nothing(made: Plan) -> None:
    write_artifact(made, TEST)
    assert set(statuses(made).values()) == {Status.VALID}


def test_a_cell_that_was_measured_again_with_another_result_makes_its_table_stale(made: Plan) -> None:
    write_artifact(made, CELL, content="other")
    assert stale_reason(made, TABLE) == f"it was made from other bytes of {CELL}"


def test_an_input_that_the_record_does_not_know_is_other_bytes(made: Plan) -> None:
    record = read_record(TAES)
    assert record is not None
    write_record(record.model_copy(update={"inputs": {}}))
    assert stale_reason(made, TAES) == f"it was made from other bytes of {TEST}"


def test_an_absent_input_is_no_evidence(made: Plan) -> None:
    for file in (TEST, TAES):
        Path(file).unlink()
        sidecar(file).unlink()
    assert [verdict(made, path)[0] for path in (TEST, TAES, CELL, TABLE)] == [
        Status.MISSING,
        Status.MISSING,
        Status.VALID,
        Status.VALID,
    ]


def test_an_input_of_another_recipe_is_no_evidence(made: Plan) -> None:
    write_artifact(chain(steps=10), TAES, content="ten steps")
    assert statuses(made) == {TEST: Status.VALID, TAES: Status.STALE, CELL: Status.VALID, TABLE: Status.VALID}


def test_an_input_with_a_damaged_record_is_no_evidence(made: Plan) -> None:
    sidecar(TAES).write_text("{")
    assert verdict(made, CELL)[0] is Status.VALID


def test_a_change_that_is_taken_back_needs_no_run(made: Plan) -> None:
    assert statuses(chain(steps=10))[TAES] is Status.STALE
    assert statuses(chain()) == statuses(made)


def test_an_edited_cell_is_found(made: Plan) -> None:
    edit_json(CELL, lambda document: document["content"].update(accuracy=99.9))
    assert "was edited after it was measured" in stale_reason(made, CELL)


def test_a_reformatted_cell_is_valid(made: Plan) -> None:
    edit_json(CELL, lambda document: document)
    assert "\n " not in Path(CELL).read_text()
    assert verdict(made, CELL)[0] is Status.VALID


@pytest.mark.parametrize("damage", ["", "<<<<<<< HEAD", "[]", "{}", '"text"', '{"provenance": {}}'])
def test_a_damaged_cell_is_stale(made: Plan, damage: str) -> None:
    Path(CELL).write_text(damage)
    assert "damaged" in stale_reason(made, CELL)


def test_a_cell_without_content_is_damaged(made: Plan) -> None:
    edit_json(CELL, lambda document: document.pop("content"))
    assert "damaged" in stale_reason(made, CELL)


def test_a_cell_with_a_number_that_json_lacks_is_refused(made: Plan) -> None:
    edit_json(CELL, lambda document: document["content"].update(accuracy=float("nan")))
    assert verdict(made, CELL)[0] is Status.STALE


def test_reading_an_edited_cell_is_refused(made: Plan) -> None:  # noqa: ARG001
    edit_json(CELL, lambda document: document["content"].update(accuracy=99.9))
    with pytest.raises(UserError, match="restore it or delete it"):
        read_content(CELL)


def test_reading_a_missing_cell_names_the_remedy(made: Plan) -> None:  # noqa: ARG001
    with pytest.raises(UserError, match=r"absent\.json is missing: ask Snakemake"):
        read_content("results/cells/absent.json")


def test_a_by_product_is_not_needed(made: Plan) -> None:
    Path(PREDICTIONS).unlink()
    assert verdict(made, CELL)[0] is Status.VALID


def test_a_by_product_is_needed_for_completeness(made: Plan) -> None:
    Path(PREDICTIONS).unlink()
    assert verdict(made, CELL, complete=True) == (Status.MISSING, f"{PREDICTIONS} does not exist")


def test_a_complete_artifact_is_valid(made: Plan) -> None:
    assert verdict(made, CELL, complete=True)[0] is Status.VALID


def test_an_input_that_is_absent_counts_for_completeness(made: Plan) -> None:
    Path(TEST).unlink()
    assert verdict(made, TAES)[0] is Status.VALID
    assert verdict(made, TAES, complete=True) == (Status.STALE, f"{TEST} is made first")


def test_modification_times_decide_nothing(made: Plan) -> None:
    for age, path in enumerate(ALL):
        for file in (path, str(sidecar(path))):
            if Path(file).exists():
                os.utime(file, (2_000_000_000 - age * 10_000_000,) * 2)
    assert set(statuses(made).values()) == {Status.VALID}


def test_judging_writes_nothing(made: Plan, folder: Path) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}

    before = state()
    statuses(made)
    statuses(chain(steps=10))
    assert state() == before


def test_the_same_artifact_has_the_same_bytes_twice(made: Plan) -> None:
    before = Path(CELL).read_bytes(), sidecar(TAES).read_bytes()
    make_all(made)
    assert (Path(CELL).read_bytes(), sidecar(TAES).read_bytes()) == before


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a 1 -> 2"]),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, ["a.b.c 1 -> 2"]),
        ({}, {"a": 1}, ["a None -> 1"]),
        ({"a": [1, 2]}, {"a": [2, 1]}, ["a [1, 2] -> [2, 1]"]),
        ({"a": {"b": 1}}, {"a": None}, ["a {'b': 1} -> None"]),
        ({"b": 1, "a": 1}, {"b": 2, "a": 2}, ["a 1 -> 2", "b 1 -> 2"]),
    ],
)
def test_differences_are_readable(old: dict[str, Any], new: dict[str, Any], found: list[str]) -> None:
    assert differences(old, new) == found


class TestMerkleTree:
    """A change of the shipped config reaches exactly what depends on it."""

    def changed(self, plan: Plan) -> set[str]:
        """Paths whose recipe is another one, or that are in one plan only."""
        before, after = shipped_plan().artifacts, plan.artifacts
        assert set(before) == set(after)
        return {path for path, artifact in after.items() if artifact.recipe != before[path].recipe}

    def descendants(self, roots: set[str]) -> set[str]:
        """The roots and all that depends on them."""
        reached = set(roots)
        for artifact in shipped_plan().artifacts.values():  # inputs come first
            if reached & set(artifact.input_paths):
                reached.add(artifact.path)
        return reached

    def of_attack(self, attack: str) -> set[str]:
        """TAE sets of an attack and white-box measurements by it, and what depends on them."""
        names = rf"/{attack}(\.npz|__[^/]+\.npz|/[^/]+)$" + ("|/whitebox/" if attack == WHITE_BOX else "")
        named = {path for path in shipped_plan().artifacts if re.search(names, path)}
        showing = {path for path, artifact in shipped_plan().artifacts.items() if attack in self.rows(artifact)}
        return self.descendants(named) | showing

    def rows(self, artifact: Artifact) -> set[str]:
        """The attacks that a table or comparison shows; a white-box row is of another variant than its name says."""
        compared = [table["layout"] for table in artifact.settings.get("tables", ())]
        rows = [row for layout in (artifact.settings, *compared) for row in layout.get("rows", ())]
        return {row["attack"] for row in rows if row.get("surrogates") != "victim"}

    def kinds(self, paths: set[str]) -> set[str]:
        return {shipped_plan()[path].kind.name for path in paths}

    def test_an_equal_config_changes_nothing(self, project: Project) -> None:
        assert self.changed(project.plan()) == set()

    def test_a_parameter_of_an_attack(self, project: Project) -> None:
        project.replace("attacks/gradient.yaml", "step_size: 0.095625*eps", "step_size: 3/255")
        changed = self.changed(project.plan())
        assert changed == self.of_attack("pgd")
        kinds = {"tae", "excerpt", "purified", "cell", "concept", "theory", "table", "figure", "comparison", "metrics"}
        assert self.kinds(changed) == kinds | {"findings", "page", "run", "pdf"}

    def test_a_version_of_an_attack(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ATTACKS["difgsm"], "version", ATTACKS["difgsm"].version + 1)
        assert self.changed(project.plan()) == self.of_attack("difgsm")

    def test_a_parameter_of_a_paradigm(self, project: Project) -> None:
        project.replace("paradigms/fixed_trigger.yaml", "trigger_eps: 8/255", "trigger_eps: 9/255")
        networks = {path for path in shipped_plan().artifacts if "__fixed_8/seed" in path}
        changed = self.changed(project.plan())
        assert changed == self.descendants(networks)
        assert {"checkpoint", "cell", "flip", "table", "figure"} <= self.kinds(changed)

    def test_an_override_reaches_its_protocol_only(self, project: Project) -> None:
        project.replace("protocols/cifar100.yaml", "gamma_min: 0.05", "gamma_min: 0.06")
        changed = self.changed(project.plan())
        assert changed == self.descendants(
            {p for p in shipped_plan().artifacts if "checkpoints/cifar100/" in p and "__tdat" in p}
        )
        assert changed

    def test_a_number_of_training_epochs(self, project: Project) -> None:
        project.replace("protocols/digit-pairs.yaml", "epochs: 5", "epochs: 6")
        trained = (a.path for a in shipped_plan().artifacts.values() if a.kind.name == "checkpoint")
        both = ("digit-pairs", "digit-pairs-again")  # The second is like the first.
        networks = {path for path in trained if path.split("/")[2] in both}
        showing = {path for path in shipped_plan().artifacts if any(self.shows(path, protocol) for protocol in both)}
        assert self.changed(project.plan()) == self.descendants(networks) | showing

    def shows(self, path: str, protocol: str) -> bool:
        artifact = shipped_plan()[path]
        return artifact.kind.name in {"table", "figure", "comparison"} and any(
            parent.startswith(f"results/cells/{protocol}/") for parent in artifact.input_paths
        )

    def test_a_parameter_of_a_data_set_reaches_all_of_its_protocol(self, project: Project) -> None:
        project.replace("datasets/embedded.yaml", "sha256: 776", "sha256: 777")
        sources = {path for path in shipped_plan().artifacts if path.startswith("results/datasets/fashion16/")}
        changed = self.changed(project.plan())
        assert len(sources) == 2
        assert changed == self.descendants(sources)

    def test_one_more_seed_leaves_the_others_as_they_are(self, project: Project) -> None:
        project.replace("protocols/fashion16.yaml", "standard: 3", "standard: 4")
        plan = project.plan()
        added = set(plan.artifacts) - set(shipped_plan().artifacts)
        assert {re.sub(r".*/seed3(/|\.).*", "seed3", path) for path in added} == {"seed3"}
        kept = [a for a in shipped_plan().artifacts.values() if a.kind.name in {"checkpoint", "tae", "dataset"}]
        assert all(plan[artifact.path].recipe == artifact.recipe for artifact in kept)

    def test_captions_and_labels_reach_what_is_rendered_only(self, project: Project) -> None:
        project.replace("tables/table1.yaml", "title: Accuracy", "title: Precision")
        project.replace("tables/table1.yaml", "label: 64/255", "label: strongest")
        project.replace("paradigms/baselines.yaml", "label: AT", "label: PGD-AT")
        project.replace("networks/miniature.yaml", "label: VGG (s)", "label: VGG")
        project.replace("datasets/embedded.yaml", "label: Fashion", "label: Mode")
        project.replace("preprocessing/filters.yaml", "label: JPEG 50", "label: JPEG")
        project.replace("experiments/demo.yaml", "decimals: 1", "decimals: 2")
        assert self.kinds(self.changed(project.plan())) == {
            "table",
            "figure",
            "findings",
            "comparison",
            "metrics",
            "page",
            "pdf",
        }

    def test_the_label_of_an_attack_reaches_what_shows_it(self, project: Project) -> None:
        project.replace("attacks/gradient.yaml", "label: GRA", "label: Gra")
        experiments = ("paper", "demo", "smoke")
        files = ("table4.tex", "findings.json", "comparison.md", "metrics.yaml", "index.html", "paper.pdf")
        again = {f"paper_tables/demo-again/{file}" for file in ("table4.tex", "findings.json", "index.html")}
        shown = {f"paper_tables/{e}/{file}" for e in experiments for file in files}
        assert self.changed(project.plan()) == shown | again

    def test_the_title_of_a_protocol_reaches_nothing(self, project: Project) -> None:
        project.replace("protocols/fashion16.yaml", "title: ", "title: Another ")
        assert self.changed(project.plan()) == set()

    def test_the_title_of_an_experiment_reaches_its_page_and_pdf(self, project: Project) -> None:
        project.replace("experiments/demo.yaml", "title: ", "title: Another ")
        assert self.changed(project.plan()) == {"paper_tables/demo/index.html", "paper_tables/demo/paper.pdf"}

    def test_other_spellings_of_the_same_value_reach_nothing(self, project: Project) -> None:
        project.replace("paradigms/fixed_trigger.yaml", "trigger_eps: 8/255", "trigger_eps: 16/510")
        project.replace("protocols/fashion16.yaml", "weight_decay: 5.0e-4", "weight_decay: 0.0005")
        project.replace("protocols/fashion16.yaml", "eps: 16/255", 'eps: "16 / 255"')
        assert self.changed(project.plan()) == set()

    def test_a_default_that_is_written_out_reaches_nothing(self, project: Project) -> None:
        project.replace("attacks/gradient.yaml", "random_start: true", "momentum: 0.0")
        project.replace("protocols/fashion16.yaml", "dataset:", "threads: 1\ndataset:")
        assert self.changed(project.plan()) == set()

    def test_reformatting_and_reordering_reach_nothing(self, project: Project) -> None:
        for path in project.config.rglob("*.yaml"):
            content: Mapping[str, Any] = yaml.safe_load(path.read_text())
            backwards = dict(reversed(content.items()))
            path.write_text("# A comment\n" + yaml.safe_dump(backwards, sort_keys=False, default_flow_style=False))
        assert self.changed(project.plan()) == set()

    def test_a_variant_may_move_to_another_file_of_its_folder(self, project: Project) -> None:
        project.append("attacks/gradient.yaml", project.read("attacks/input_transformation.yaml"))
        (project.config / "attacks/input_transformation.yaml").unlink()
        assert self.changed(project.plan()) == set()

    def test_the_reason_names_the_changed_parameter(self, project: Project) -> None:
        path = "results/taes/fashion16/vgg-s__standard/seed0/pgd.npz"
        old = project.plan()
        Path(path).parent.mkdir(parents=True)
        write_artifact(old, path)
        project.replace("protocols/fashion16.yaml", "steps: 20", "steps: 10")
        assert stale_reason(project.plan(), path) == "its recipe changed: attack.steps 20 -> 10"
