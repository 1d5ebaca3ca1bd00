"""Surrogates that are attacked as one, from config to the stage."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.crafting import seeded
from tests.support.projects import Project, one_sentence, shipped_config, shipped_plan
from trigger_activation.errors import UserError
from trigger_activation.plan import Plan
from trigger_activation.plan.config import load_config
from trigger_activation.plan.config.schema import EnsembleSettings
from trigger_activation.plan.recipes import TaeParameters
from trigger_activation.plan.studies import ProtocolStudies
from trigger_activation.plan.variants import Variants
from trigger_activation.run.stages.attacks import make_tae
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.ensembles import Ensemble
from trigger_activation.science.images import to_bytes, to_float
from trigger_activation.science.snapshots import NO_SNAPSHOTS

PROTOCOL = "fashion16"
TRIGGERS = EnsembleSettings(label="four networks with triggers", paradigms=["fixed", "learnable"], seeds=2)


def planner(ensembles: dict[str, EnsembleSettings]) -> ProtocolStudies:
    config = shipped_config()
    protocol = config.protocols[PROTOCOL].model_copy(update={"ensembles": ensembles})
    config = config.model_copy(update={"protocols": {**config.protocols, PROTOCOL: protocol}})
    return ProtocolStudies(config, PROTOCOL, Plan(), Variants(config))


def test_its_members_are_the_first_seeds_of_each_paradigm() -> None:
    slot = planner({"triggers": TRIGGERS})
    path = slot.tae("vgg-s", "triggers", "mifgsm")
    assert path == "results/taes/fashion16/vgg-s__triggers/seed0/mifgsm.npz"
    assert slot.plan[path].inputs["surrogate"] == tuple(
        f"results/checkpoints/fashion16/vgg-s__{paradigm}/seed{seed}.safetensors"
        for paradigm in ("fixed_64", "learn_32")
        for seed in (0, 1)
    )


def test_it_moves_no_other_recipe() -> None:
    slot = planner({"triggers": TRIGGERS})
    path = slot.tae("vgg-s", "standard", "mifgsm")
    assert slot.plan[path].recipe == shipped_plan()[path].recipe


def test_a_row_of_an_unknown_ensemble_is_refused() -> None:
    with pytest.raises(UserError, match=r"has no ensemble 'trigers'.* did you mean 'triggers'") as caught:
        planner({"triggers": TRIGGERS}).ensemble("trigers")
    one_sentence(str(caught.value))


@pytest.mark.parametrize(
    ("ensemble", "says"),
    [
        ("two: {label: one, paradigms: [fixed]}", "ensembles.two: an ensemble needs two surrogates or more"),
        ("two: {label: two, paradigms: [learnable], seeds: 9}", "takes 9 seeds of learnable, of which .* trains 3"),
        ("standard: {label: two, paradigms: [fixed], seeds: 2}", "the name of something else .*: rename it"),
    ],
)
def test_what_cannot_be_an_ensemble(ensemble: str, says: str, project: Project) -> None:
    text = project.read(f"protocols/{PROTOCOL}.yaml")
    project.write(f"protocols/{PROTOCOL}.yaml", f"{text}ensembles:\n  {ensemble}\n")
    with pytest.raises(UserError, match=says) as caught:
        load_config(project.config)
    one_sentence(str(caught.value))


def test_the_stage_attacks_the_mean_logits(trained_network: nn.Module, fashion16_test: tuple[Tensor, Tensor]) -> None:
    images, labels = (part[:20] for part in fashion16_test)
    triggers = torch.rand(2, 3, 16, 16, generator=seeded()) - 0.5
    members = [DeployedNetwork(trained_network, trigger).eval() for trigger in triggers]
    attack = {"class": "mifgsm", "eps": "8/255", "steps": 2}
    published: dict[str, Any] = {}
    job: Any = SimpleNamespace(
        parameters=TaeParameters(attack=attack, batch_size=20, images=20, threads=1),
        labelled=lambda *_: (images, labels),
        networks=lambda _: members,
        helper=lambda: None,
        generator=lambda _: seeded(),
        scratch=NO_SNAPSHOTS,
        device=torch.device("cpu"),
        spec=SimpleNamespace(path="taes.npz"),
        publish_taes=lambda adversarial, checks: published.update(checks, images=adversarial),
    )
    make_tae(job)
    alone = ATTACKS.instance(attack).perturb(Ensemble(members), to_float(images), labels, seeded())
    assert torch.equal(published["images"], to_bytes(alone))
    assert published["gradient_passes"] == 2
