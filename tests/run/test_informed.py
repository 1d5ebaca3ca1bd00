"""Studies of attackers who know more than a surrogate, made of two small networks that are trained here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.crafting import seeded
from tests.support.projects import Project, one_sentence
from tests.support.smoke_project import make
from tests.support.stronger import with_stronger_tables
from trigger_activation.errors import UserError
from trigger_activation.plan import Plan, build_plan
from trigger_activation.plan.config import load_config
from trigger_activation.plan.contents import InformedStudy
from trigger_activation.run.job import Job
from trigger_activation.run.spec import Spec, write_spec
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.evaluation import informed
from trigger_activation.science.images import to_float
from trigger_activation.science.training.known_trigger import KnownTrigger
from trigger_activation.store import scratch

STUDIES = "results/cells/smoke/measured/informed"
KNOWN, TRAINED = f"{STUDIES}/trigger/mifgsm/fixed_64.json", f"{STUDIES}/trigger_trained/mifgsm/fixed_64.json"
DEFENDED = [f"{STUDIES}/victim/eot_pgd/{column}.json" for column in ("rp_s1.2", "nrp", "diffpure")]
SQUARE = f"{STUDIES}/victim/square/fixed_64.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all inputs of the studies; what tests make themselves they remove."""
    folder = tmp_path_factory.mktemp("informed")
    project = with_stronger_tables(Project.shipped(folder), "smoke", "smoke", surrogates=2)
    with project.edited("protocols/smoke.yaml") as protocol:
        protocol["seeds"] = {"default": 2}
        protocol["overrides"]["attacks"] |= {"square": {"queries": 10}, "eot_pgd": {"draws": 2}}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        plan = build_plan(load_config(Path("config")))
        studies = [KNOWN, TRAINED, *DEFENDED, SQUARE]
        for artifact in plan.upstream(studies):
            if artifact.path not in studies:
                make(plan, artifact.path)
    return folder


@pytest.fixture
def plan(made: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(made)
    return build_plan(load_config(Path("config")))


def study(plan: Plan, path: str) -> InformedStudy:
    make(plan, path)
    return InformedStudy.read_from(path, json.loads(Path(path).read_text())["content"])


def job_of(plan: Plan, path: str) -> Job[Any]:
    return Job(Spec.model_validate_json(write_spec(plan, plan[path]).read_text()))


def test_the_known_trigger_is_added_to_undefended_networks_of_the_other_architecture(plan: Plan) -> None:
    found, job = study(plan, KNOWN), job_of(plan, KNOWN)
    images, labels = job.labelled("test", 20)
    victims, surrogates = job.networks("victims"), job.networks("surrogates")
    attack = ATTACKS.instance(job.parameters.algorithm)
    counts = []
    for own, other in ((0, 1), (1, 0)):
        attacked = DeployedNetwork(surrogates[other].network, victims[own].trigger).eval()
        crafted = attack.perturb(attacked, to_float(images), labels, seeded())
        with torch.no_grad():
            counts.append([int((victims[own](crafted).argmax(dim=1) == labels).sum())])
    assert found.correct == [counts]
    assert found.means["off_diagonal"].mean == pytest.approx(5 * (counts[0][0] + counts[1][0]) / 2)
    assert max(found.evidence["budget"]) <= 100


def test_networks_are_trained_with_the_trigger_of_each_victim(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    known, original = [], KnownTrigger.of

    def watched(trigger: torch.Tensor, clamp: bool) -> KnownTrigger:
        known.append(trigger)
        return original(trigger, clamp)

    monkeypatch.setattr(KnownTrigger, "of", watched)
    found = study(plan, TRAINED)
    for trigger, victim in zip(known, job_of(plan, TRAINED).networks("victims"), strict=True):
        assert torch.equal(trigger, victim.trigger)
    assert [len(victims) for seed in found.correct for victims in seed] == [1, 1]


@pytest.mark.parametrize("path", DEFENDED)
def test_preprocessing_is_attacked_with_the_network_behind_it(path: str, plan: Plan) -> None:
    found = study(plan, path)
    assert (found.images, found.seeds, list(found.means)) == (10, [0], ["eot_pgd"])
    assert 0 <= found.means["eot_pgd"].mean <= 100


@pytest.mark.parametrize("path", [SQUARE, TRAINED, DEFENDED[2]])
def test_an_interrupted_study_ends_with_the_same_bytes(path: str, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    make(plan, path)
    before = Path(path).read_bytes()
    original, attacked = informed.withstood, []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        attacked.append(arguments)
        if len(attacked) == 2:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(scratch, "INTERVAL", 0.0)
    monkeypatch.setattr(informed, "withstood", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(plan, path)
    make(plan, path)
    assert len(attacked) == 3  # the first victim once, the second twice
    assert Path(path).read_bytes() == before
    assert not list(Path("results/scratch").glob("*"))


def test_a_victim_without_trigger_is_refused(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Job.networks
    bare = lambda job, role: [DeployedNetwork(each.network, None) for each in original(job, role)]  # noqa: E731
    monkeypatch.setattr(Job, "networks", bare)
    with pytest.raises(UserError, match="the victims have no trigger that could be known") as caught:
        make(plan, KNOWN)
    one_sentence(str(caught.value))
