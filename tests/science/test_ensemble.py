"""Ensemble adversarial training: against adversarial training, against FGSM written out, and as an artifact."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from tests.support.projects import Project
from tests.support.smoke_project import make
from tests.support.trainings import bits_equal, recipe, streams, trained_on
from trigger_activation.plan import Plan
from trigger_activation.science.images import to_float
from trigger_activation.science.training.loop import train
from trigger_activation.science.training.paradigms import PARADIGMS
from trigger_activation.store.records import read_record

EPS = 8 / 255
Batch = tuple[Tensor, Tensor]


def ensemble(*surrogates: nn.Module, **given: Any) -> Any:
    parameters = {"eps": "8/255", "surrogate_seeds": [100], **given}
    return PARADIGMS["ensemble_adversarial"](**parameters).with_surrogates(surrogates)


@pytest.fixture
def batch(fashion16_train: Batch) -> Batch:
    return to_float(fashion16_train[0][:64]), fashion16_train[1][:64]


def gradients(paradigm: Any, network: nn.Module, batch: Batch, seed: int = 0) -> list[Tensor]:
    """Of the loss with respect to all parameters of a copy in training mode."""
    own = copy.deepcopy(network).train()
    loss = paradigm.loss(own, *batch, None, Generator().manual_seed(seed))
    return [loss.detach(), *torch.autograd.grad(loss, list(own.parameters()))]


def fgsm(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    variable = images.clone().requires_grad_()
    functional.cross_entropy(network(variable), labels).backward()
    return (images + EPS * variable.grad.sign()).clamp(0, 1)


def test_an_ensemble_of_itself_alone_is_single_step_adversarial_training(
    trained_network: nn.Module, batch: Batch
) -> None:
    single = PARADIGMS["adversarial"](eps="8/255", steps=1, step_size="10/255")
    alone = ensemble(step_size="10/255", random_start=True, clean_share=0.0)
    for own, expected in zip(*(gradients(p, trained_network, batch) for p in (alone, single)), strict=True):
        assert torch.equal(own, expected)


def test_the_loss_is_that_of_clean_images_and_of_what_fgsm_makes_on_a_surrogate(
    trained_network: nn.Module, fresh_network: nn.Module, batch: Batch
) -> None:
    images, labels = batch
    network = copy.deepcopy(fresh_network).train()
    seen = trained_on(network)
    loss = ensemble(trained_network, itself=False, clean_share=0.25).loss(network, *batch, None, Generator())
    (given,) = seen
    assert torch.equal(given[:64], images)
    # A pixel whose gradient rounding decides may go either way.
    differing = (given[64:] - fgsm(trained_network, images, labels)).abs() > 1e-6
    assert differing.float().mean() < 0.01
    logits = copy.deepcopy(fresh_network).train()(given)
    expected = 0.25 * functional.cross_entropy(logits[:64], labels) + 0.75 * functional.cross_entropy(
        logits[64:], labels
    )
    torch.testing.assert_close(loss, expected)


def test_each_network_gets_its_share_of_the_batches_and_stays_as_it_is(
    trained_network: nn.Module, fresh_network: nn.Module, batch: Batch
) -> None:
    network, surrogates = fresh_network.train(), [trained_network, copy.deepcopy(trained_network)]
    paradigm = ensemble(*surrogates)
    generator = Generator().manual_seed(0)
    drawn = [paradigm._source(network, generator) for _ in range(600)]
    for source in (network, *surrogates):
        assert 150 < sum(other is source for other in drawn) < 250
    before = copy.deepcopy(trained_network)
    for seed in range(4):
        paradigm.loss(network, *batch, None, Generator().manual_seed(seed)).backward()
    for surrogate in surrogates:
        assert bits_equal(surrogate, before)
        assert not any(module.training for module in surrogate.modules())
        assert all(parameter.grad is None for parameter in surrogate.parameters())


def test_the_same_streams_train_the_same_network(
    trained_network: nn.Module, fresh_network: nn.Module, fashion16_train: Batch
) -> None:
    other = copy.deepcopy(fresh_network)
    for network in (fresh_network, other):
        train(network, ensemble(trained_network), *(part[:128] for part in fashion16_train), recipe(2), streams())
    assert bits_equal(fresh_network, other)


def test_without_a_network_to_craft_on_there_is_no_loss(fresh_network: nn.Module, batch: Batch) -> None:
    with pytest.raises(ValueError, match="ensemble_adversarial needs networks to craft on: give it some by"):
        ensemble(itself=False).loss(fresh_network, *batch, None, Generator())


PARADIGM = """
ensemble_at:
  class: ensemble_adversarial
  label: Ensemble AT
  parameters: {surrogate_seeds: [7]}
"""


class TestPlan:
    CHECKPOINT = "results/checkpoints/mini/ensemble/vgg-s__ensemble_at/seed0.safetensors"

    @pytest.fixture
    def before(self, small: Project) -> Plan:
        """Of the small project before it has the column."""
        plan = small.plan()
        small.append("paradigms/all.yaml", PARADIGM)
        small.replace("tables/table1.yaml", "- victim: mine\n", "- victim: mine\n- victim: ensemble_at\n")
        return plan

    def test_its_surrogates_are_undefended_networks_of_a_seed_that_the_evaluation_lacks(
        self, small: Project, before: Plan
    ) -> None:
        plan = small.plan()
        networks = ("vgg-s", "inception_v4")
        expected = tuple(f"results/checkpoints/mini/{network}__standard/seed7.safetensors" for network in networks)
        assert plan[self.CHECKPOINT].inputs["surrogates"] == expected
        used = {path for a in plan.artifacts.values() if a.kind.name != "ensemble" for path in a.input_paths}
        assert used.isdisjoint(expected)
        moved = [path for path in before.artifacts if plan[path].recipe != before[path].recipe]
        assert {plan[path].kind.name for path in moved} == {"table"}

    def test_a_seed_of_the_evaluation_is_refused(self, small: Project, before: Plan) -> None:
        assert "ensemble_at" not in str(before.targets)
        small.replace("paradigms/all.yaml", "surrogate_seeds: [7]", "surrogate_seeds: [7, 1]")
        sentence = small.complaint()
        assert "all.yaml: ensemble_at.parameters.surrogate_seeds names the seed 1, whose undefended" in sentence
        assert sentence.endswith("the protocol mini evaluates with: choose seeds from 2 on")


def test_the_stage_hands_the_surrogates_over(project: Project) -> None:
    project.replace("experiments/smoke.yaml", "- {victim: tdat}", "- {victim: tdat}\n      - {victim: ensemble_at}")
    project.replace("protocols/smoke.yaml", "training_images: 512", "training_images: 64")
    plan = project.plan()
    (target,) = (path for path in plan.artifacts if "smoke/ensemble/vgg-s" in path)
    for artifact in plan.upstream([target]):
        make(plan, artifact.path)
    record = read_record(target)
    assert record is not None
    assert set(record.inputs) == set(plan[target].input_paths)
    assert len(record.checks["losses"]) == 2
