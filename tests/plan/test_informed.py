"""Attackers who know more than a surrogate, and surrogates of any paradigm, from config to the plan."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.support.projects import Project, shipped_plan
from tests.support.stronger import TABLES, with_stronger_tables
from trigger_activation.plan import Artifact, Plan, build_plan
from trigger_activation.plan.config import load_config
from trigger_activation.plan.costs import JOB_HOURS, CostModel
from trigger_activation.plan.layouts import SupplementaryLayout

STUDIES = "results/cells/fashion16/measured/informed"
NETWORK = "results/checkpoints/fashion16/{}__{}/seed{}.safetensors"


def with_tables(project: Project) -> Project:
    return with_stronger_tables(project, "fashion16", "demo", surrogates=3, images=500, seeds=2)


@pytest.fixture
def stronger(project: Project) -> Project:
    """The demo with the tables of stronger attackers."""
    return with_tables(project)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    project = with_tables(Project.shipped(tmp_path_factory.mktemp("stronger")))
    return build_plan(load_config(project.config))


def checkpoints(paradigm: str, seeds: int = 2) -> tuple[str, ...]:
    return tuple(NETWORK.format(network, paradigm, s) for s in range(seeds) for network in ("vgg-s", "resnet18-xs"))


def layout(plan: Plan, table: str) -> SupplementaryLayout:
    parameters = plan[plan.targets["demo"][table]].parameters
    assert isinstance(parameters, SupplementaryLayout)
    return parameters


def test_no_other_recipe_moves(plan: Plan) -> None:
    shipped = shipped_plan().artifacts.items()
    moved = {path for path, artifact in shipped if artifact.recipe != plan[path].recipe}
    demo = {f"paper_tables/demo/{file}" for file in ("metrics.yaml", "paper.pdf", "run.json", "index.html")}
    assert moved == demo | {f"paper_tables/demo-again/{file}" for file in ("run.json", "index.html")}


def test_rows_say_what_attackers_know(plan: Plan) -> None:
    labels = [row.label for table in TABLES for row in layout(plan, table).rows if row.label != "Clean"]
    transfer = "MI-FGSM, different architectures"
    assert labels == [
        transfer,
        f"{transfer}, AT surrogates",
        f"{transfer}, ensemble of undefended networks",
        f"{transfer}, ensemble of networks with fixed triggers",
        f"{transfer}, ensemble of networks with learned triggers",
        "Square on the victim",
        "White-box PGD-20 (step eps/4)",
        "White-box AutoAttack",
        transfer,
        "EOT-PGD on the victim",
        transfer,
        f"{transfer}, adaptive",
        f"{transfer}, trigger known",
        f"{transfer}, trained with the known trigger",
    ]


def test_surrogates_may_be_of_any_paradigm(plan: Plan) -> None:
    cell = plan["results/cells/fashion16/at/mifgsm/fixed_64.json"]
    assert cell.inputs["images"] == tuple(
        f"results/taes/fashion16/{network}__at/seed{seed}/mifgsm.npz"
        for seed in range(3)
        for network in ("vgg-s", "resnet18-xs")
    )
    assert layout(plan, "stronger").rows[2].surrogates == "at"


def test_surrogates_may_be_a_role(stronger: Project) -> None:
    stronger.replace("tables/stronger.yaml", "surrogates: at", "surrogates: learnable")
    assert layout(stronger.plan(), "stronger").rows[2].surrogates == "learn_32"


def study(plan: Plan, name: str) -> Artifact:
    return plan[f"{STUDIES}/{name}.json"]


def test_there_is_a_study_for_each_row_and_column(plan: Plan) -> None:
    studies = [artifact for artifact in plan.of_experiment("demo") if artifact.kind.name == "informed"]
    assert Counter(artifact.names["knows"] for artifact in studies) == {
        **{"victim": 4 + 4, "trigger": 2},
        "trigger_trained": 2,
    }


@pytest.mark.parametrize(
    ("name", "victims", "others"),
    [
        ("victim/square/fixed_64", "fixed_64", {}),
        ("victim/eot_pgd/rp_s1.2", "standard", {}),
        (
            "victim/eot_pgd/nrp",
            "standard",
            {"helper": ("results/checkpoints/fashion16/nrp-xs__purification/seed0.safetensors",)},
        ),
        ("trigger/mifgsm/learn_32", "learn_32", {"surrogates": checkpoints("standard")}),
        ("trigger_trained/mifgsm/fixed_64", "fixed_64", {"train": ("results/datasets/fashion16/train.npz",)}),
    ],
)
def test_a_study_reads_what_its_attacker_knows(name: str, victims: str, others: Any, plan: Plan) -> None:
    inputs = dict(study(plan, name).inputs)
    assert inputs.pop("victims") == checkpoints(victims)
    assert inputs.pop("test") == ("results/datasets/fashion16/test.npz",)
    assert inputs == others


def test_images_seeds_and_preprocessing_are_those_of_the_protocol(plan: Plan) -> None:
    defended, plain = (study(plan, f"victim/{name}").settings for name in ("eot_pgd/diffpure", "square/at"))
    assert (defended["images"], plain["images"], plain["seeds"]) == (10, 500, [0, 1])
    assert defended["preprocessing"]["step"] == 0.02  # the protocol's override
    assert "bpda" not in defended
    assert "preprocessing" not in plain


def test_bpda_may_be_asked_for_by_a_role(stronger: Project) -> None:
    with stronger.edited("protocols/fashion16.yaml") as protocol:
        protocol["informed"]["bpda"] = ["diffpure", "resize_pad"]
    plan = stronger.plan()
    asked = {
        name: study(plan, f"victim/eot_pgd/{name}").settings.get("bpda") for name in ("diffpure", "rp_s1.2", "nrp")
    }
    assert asked == {"diffpure": True, "rp_s1.2": True, "nrp": None}
    told = layout(plan, "stronger_preprocessing").informed
    assert told is not None
    assert (told.bpda, told.images, told.fewer_images) == (["DiffPure", "R&P 1.2"], 10, {})


def test_captions_tell_attacks_of_fewer_images_apart(stronger: Project) -> None:
    stronger.replace("tables/stronger.yaml", "  - {white_box: pgd}\n", "  - {attack: eot_pgd, knows: victim}\n")
    told = layout(stronger.plan(), "stronger").informed
    assert told is not None
    assert (told.images, told.fewer_images) == (500, {"EOT-PGD": 10})


def test_the_plan_knows_what_trainings_cost(stronger: Project) -> None:
    with stronger.edited("protocols/fashion16.yaml") as protocol:
        protocol["training_images"] = 2000
    plan = stronger.plan()
    model = CostModel(load_config(stronger.config), plan)
    trained, crafted = (
        model.gpu_hours(study(plan, f"{name}/mifgsm/fixed_64")) for name in ("trigger_trained", "trigger")
    )
    alike = sum(model.gpu_hours(plan[path]) - JOB_HOURS for path in checkpoints("fixed_64"))
    assert trained - crafted == pytest.approx(alike)


class TestRefused:
    @pytest.mark.parametrize(
        ("file", "old", "new", "says"),
        [
            ("tables/stronger.yaml", "surrogates: undefended", "surrogates: undefnded", "did you mean 'undefended'?"),
            (
                "tables/stronger.yaml",
                "{attack: square, knows: victim}",
                "{attack: clean, knows: victim}",
                "`knows` bel",
            ),
            (
                "tables/stronger.yaml",
                "{attack: square, knows: victim}",
                "{knows: victim, white_box: pgd}",
                "`knows` be",
            ),
            ("tables/stronger.yaml", "square, knows: victim", "square, knows: victim, pairs: all", "remove them"),
            ("tables/stronger.yaml", "knows: victim", "knows: everything", "'trigger'"),
            (
                *("tables/stronger.yaml", "attack: square, knows: victim", "attack: mifgsm, knows: trigger"),
                "a row knows the trigger of w/o, whose networks have none: leave that column out",
            ),
            (
                *("tables/stronger.yaml", "victim: at}", "preprocessing: nrp}"),
                "white-box rows attack networks without preprocessing",
            ),
            (
                *("tables/stronger_preprocessing.yaml", "eot_pgd, knows: victim", "mifgsm, knows: trigger_trained"),
                "a row knows the trigger of w/o, whose networks have none",
            ),
            ("tables/stronger.yaml", "attack: square", "attack: naa", "looks at a helper network or a layer"),
            ("tables/stronger.yaml", "attack: square", "attack: diffpgd", "looks at a helper network or a layer"),
        ],
    )
    def test_a_row(self, file: str, old: str, new: str, says: str, stronger: Project) -> None:
        stronger.replace(file, old, new)
        assert says in stronger.complaint()

    @pytest.mark.parametrize(
        ("settings", "says"),
        [
            ({"fewer_images": {"eot": 5}}, "informed.fewer_images names the attack 'eot', which does not exist: did"),
            ({"bpda": ["diffpur"]}, "informed.bpda names the preprocessing 'diffpur', which does not exist: did you"),
            ({"images": 0}, "informed.images"),
            ({"seed": 1}, "did you mean 'seeds'?"),
        ],
    )
    def test_settings(self, settings: dict[str, Any], says: str, stronger: Project) -> None:
        with stronger.edited("protocols/fashion16.yaml") as protocol:
            protocol["informed"] |= settings
        assert says in stronger.complaint()

    def test_rows_without_settings(self, stronger: Project) -> None:
        with stronger.edited("protocols/fashion16.yaml") as protocol:
            del protocol["informed"]
        sentence = stronger.complaint()
        assert "config/protocols/fashion16.yaml has no `informed` settings" in sentence
        assert "add `informed: {images: ...}`" in sentence

    def test_a_seed_that_an_ensemble_lacks(self, stronger: Project) -> None:
        with stronger.edited("protocols/fashion16.yaml") as protocol:
            protocol["ensembles"]["undefended"]["seeds"] = 4
        assert "ensembles.undefended takes 4 seeds of standard, of which this protocol trains 3" in stronger.complaint()

    def test_an_ensemble_of_one(self, stronger: Project) -> None:
        with stronger.edited("protocols/fashion16.yaml") as protocol:
            protocol["ensembles"]["undefended"]["seeds"] = 1
        assert "an ensemble needs two surrogates or more" in stronger.complaint()

    def test_an_ensemble_with_the_name_of_a_role(self, stronger: Project) -> None:
        with stronger.edited("protocols/fashion16.yaml") as protocol:
            protocol["ensembles"]["fixed"] = protocol["ensembles"]["fixed_triggers"]
        assert "ensembles.fixed has the name of something else" in stronger.complaint()

    def test_a_protocol_of_one_network(self, small: Project) -> None:
        with small.edited("protocols/mini.yaml") as protocol:
            protocol["networks"] = ["vgg-s"]
            protocol["informed"] = {"images": 10}
        with small.edited("tables/supplementary.yaml") as table:
            table["rows"] = [{"attack": "pgd", "knows": "trigger"}]
            table["columns"] = [{"victim": "learnable"}]
        assert "has a single network, but rows that know the trigger attack by way of another" in small.complaint()
