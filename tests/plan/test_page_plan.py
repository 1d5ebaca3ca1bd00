"""When a page is current, and what a record of a run adds up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.projects import Given, Project, shipped_plan, write_artifact
from trigger_activation.errors import UserError
from trigger_activation.plan import Artifact, Plan, kinds
from trigger_activation.plan.pages import distinct, settings_of
from trigger_activation.report.figures import DESCRIPTIONS, DRAWINGS
from trigger_activation.run.job import Job
from trigger_activation.run.spec import read_spec, write_spec
from trigger_activation.run.stages.reports import make_run
from trigger_activation.run.workflow import Workflow
from trigger_activation.store.environment import Environment
from trigger_activation.store.freshness import Freshness, Verdict
from trigger_activation.store.records import Record, write_json_artifact
from trigger_activation.store.totals import summarise

PAGE, RUN = "paper_tables/small/index.html", "paper_tables/small/run.json"


@pytest.fixture
def plan(small: Project) -> Plan:
    with small.edited("experiments/small.yaml") as experiment:
        experiment["reports"] = ["page"]
    return small.plan()


@pytest.fixture
def made(plan: Plan) -> Plan:
    """All artifacts but the record of the run are there."""
    for artifact in plan.of_experiment("small"):
        write_artifact(plan, artifact.path)
    return plan


def record_run(plan: Plan, seconds: float = 1.0, recipe: str | None = None) -> None:
    record = Record(path=RUN, kind="run", recipe=recipe or plan[RUN].recipe, parameters={}, versions={}, inputs={})
    write_json_artifact(Path(RUN), {"seconds": seconds}, record)


def verdict(plan: Plan, complete: bool = False) -> Verdict:
    return Freshness(plan, complete).verdict(PAGE)


class TestPlan:
    def test_a_page_shows_every_table_and_figure_and_their_cells(self, plan: Plan) -> None:
        targets = {name: path for name, path in plan.targets["small"].items() if name != "page"}
        page = plan[PAGE]
        assert {*page.inputs["tables"], *page.inputs["figures"]} == set(targets.values())
        assert set(page.inputs["cells"]) == {cell for path in targets.values() for cell in plan[path].input_paths}

    def test_the_recipe_knows_nothing_of_the_run(self, plan: Plan) -> None:
        recipe = plan[PAGE].recipe
        plan.add(replace(plan[PAGE], optional={}))
        assert plan[PAGE].recipe == recipe

    def test_a_run_is_made_of_all_that_is_not_rendered(self, plan: Plan) -> None:
        made = [a for a in plan.of_experiment("small") if not a.path.startswith("paper_tables/")]
        assert set(plan[RUN].input_paths) == {artifact.path for artifact in made}
        assert set(plan[RUN].settings["by_products"]) == {path for a in made for path in a.by_products}

    def test_what_differs_between_networks_is_told_apart(self) -> None:
        """As attacks on features, which name a layer of each network."""
        names = {"protocol": "mini", "paradigm": "standard", "seed": "0", "attack": "naa"}
        upstream = [
            Artifact(kinds.TAE, {**names, "network": network}, Given({"layer": layer}), {}, {})
            for network, layer in (("vgg-s", 3), ("resnet18-xs", 2), ("mobilenet-xs", 2))
        ]
        novelty = replace(kinds.TAE, name="novelty", setting="")
        settings = distinct(map(settings_of, [*upstream, replace(upstream[0], kind=novelty)]))
        assert [(title, parameters) for title, parameters, _ in settings] == [
            ("Attack: vgg-s", {"layer": 3, "versions": {}}),
            ("Attack: resnet18-xs, mobilenet-xs", {"layer": 2, "versions": {}}),
            ("Novelty", {"layer": 3, "versions": {}}),
        ]

    def test_there_is_no_page_unless_asked_for(self, small: Project) -> None:
        assert PAGE not in small.plan().artifacts

    def test_a_changed_label_does_not_touch_the_run(self, plan: Plan, small: Project) -> None:
        small.replace("attacks/all.yaml", "label: PGD", "label: PGD-20")
        changed = small.plan()
        assert changed[RUN].recipe == plan[RUN].recipe
        assert changed[PAGE].recipe != plan[PAGE].recipe

    def test_the_paper_leaves_nothing_out(self) -> None:
        left_out = shipped_plan()["paper_tables/paper/index.html"].settings["left_out"]
        assert left_out == {"tables": [], "figures": [], "parts": []}

    def test_every_sort_of_figure_can_be_described(self) -> None:
        assert DESCRIPTIONS.keys() == DRAWINGS.keys()


class TestFreshness:
    def test_a_page_needs_no_run(self, made: Plan) -> None:
        assert verdict(made).valid

    def test_a_complete_run_records_itself_first(self, made: Plan) -> None:
        assert verdict(made, complete=True).reason == f"{RUN} is made first"

    def test_a_page_is_current_with_the_run_that_it_shows(self, made: Plan) -> None:
        record_run(made)
        write_artifact(made, PAGE)
        assert verdict(made).valid

    def test_another_run_makes_a_page_stale(self, made: Plan) -> None:
        record_run(made)
        assert verdict(made).reason == f"{RUN} is not the one that it was made with"
        write_artifact(made, PAGE)
        record_run(made, seconds=2.0)
        assert not verdict(made).valid
        Path(RUN).unlink()
        assert not verdict(made).valid

    def test_a_run_of_another_recipe_is_kept(self, made: Plan) -> None:
        """As in a clone, where a cell changed and the run cannot be repeated in full."""
        record_run(made, recipe="0" * 64)
        write_artifact(made, PAGE)
        assert verdict(made).valid
        assert not verdict(made, complete=True).valid

    @pytest.mark.parametrize(("complete", "asked"), [(False, False), (True, True)])
    def test_only_a_complete_run_asks_for_its_record(self, made: Plan, complete: bool, asked: bool) -> None:
        Path(PAGE).unlink()
        assert PAGE in made.artifacts
        workflow = Workflow({"complete": complete})
        needs = [file for role in kinds.PAGE.roles for file in workflow.needs("page", role)(made[PAGE].names)]
        assert (RUN in needs) == asked
        assert set(made[PAGE].input_paths) <= set(needs)


def record(kind: str, seconds: float, memory: float, **environment: object) -> Record:
    return Record(
        path=kind,
        kind=kind,
        recipe="",
        parameters={},
        versions={},
        inputs={},
        environment=Environment.model_validate(
            {
                "commit": "a",
                "dirty": False,
                "packages": {"torch": "2.0"},
                "python": "3.11",
                "host": "one",
                "machine": "x86_64",
                "device": "Abacus",
                "gpu": False,
                "seconds": seconds,
                "cpu_seconds": seconds / 2,
                "peak_memory_mib": memory,
                **environment,
            }
        ),
    )


class TestRun:
    def test_kinds_are_added_up(self) -> None:
        records = [record("tae", 1, 50), record("cell", 2, 70), record("tae", 4, 30)]
        assert summarise(records).as_json()["kinds"] == [
            {"kind": "tae", "artifacts": 2, "seconds": 5, "cpu_seconds": 2.5, "peak_memory_mib": 50},
            {"kind": "cell", "artifacts": 1, "seconds": 2, "cpu_seconds": 1, "peak_memory_mib": 70},
        ]

    def test_every_machine_commit_and_version_is_told(self) -> None:
        other = record("tae", 1, 1, host="two", device="Slide rule", dirty=True, packages={"torch": "2.1"})
        content = summarise([record("tae", 1, 1), other, record("tae", 1, 1)]).as_json()
        assert content["machines"] == 2
        assert content["devices"] == ["Abacus", "Slide rule"]
        assert content["commits"] == [{"commit": "a", "dirty": False}, {"commit": "a", "dirty": True}]
        assert content["packages"] == {"python": ["3.11"], "torch": ["2.0", "2.1"]}

    def test_files_of_git_have_no_time(self) -> None:
        assert summarise([record("cell", 1, 1).model_copy(update={"environment": None})]).kinds == []

    def test_no_host_and_no_date_is_published(self) -> None:
        assert "one" not in str(summarise([record("cell", 1, 1, host="one")]))

    def test_inputs_without_a_time_make_no_other_run_of_it(self, made: Plan) -> None:
        record_run(made)  # of other bytes of all its inputs
        assert Freshness(made).verdict(RUN).valid
        dataset = next(path for path in made[RUN].input_paths if path.startswith("results/datasets/"))
        write_artifact(made, dataset, seconds=1.0)
        assert Freshness(made).verdict(RUN).reason == f"it was made from other bytes of {dataset}"

    def test_a_missing_by_product_is_not_passed_over(self, made: Plan) -> None:
        spec = read_spec(write_spec(made, made[RUN]), made[RUN].recipe)
        with pytest.raises(UserError, match=r"predictions.* is missing, .* complete=true"):
            make_run(Job(spec))
