"""Attackers who know more than a surrogate: against white-box attacks, and against what each step does by itself."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.crafting import attack, seeded
from tests.support.trainings import bits_equal
from trigger_activation.science.defended import DefendedNetwork
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.evaluation.informed import withstood
from trigger_activation.science.evaluation.white_box import robustness
from trigger_activation.science.images import to_float
from trigger_activation.science.preprocessing import PREPROCESSING

Batch = tuple[Tensor, Tensor]
BATCH_SIZE = 20


@pytest.fixture
def few(fashion16_test: Batch) -> Batch:
    return fashion16_test[0][:50], fashion16_test[1][:50]


@pytest.fixture
def victim(triggered_network: tuple[nn.Module, Tensor]) -> DeployedNetwork:
    return DeployedNetwork(*triggered_network).eval()


def found(
    victim: nn.Module, attacked: nn.Module, name: str, few: Batch, spares: bool = False, **changes: Any
) -> tuple[Tensor, float]:
    return withstood(victim, attacked, attack(name, **changes), *few, BATCH_SIZE, seeded(), spares)


def test_pgd_on_the_victim_is_white_box_pgd(victim: DeployedNetwork, few: Batch) -> None:
    pgd = attack("pgd")
    expected = robustness(victim, pgd, *few, batch_size=BATCH_SIZE, iterations=1, queries=1, generator=seeded())
    right, change = withstood(victim, victim, pgd, *few, BATCH_SIZE, seeded(), spares=True)
    assert torch.equal(right, expected["pgd"])
    assert 0 < int(right.sum()) < int(expected["clean"].sum())
    assert change == pytest.approx(100, abs=1e-3)


def test_images_are_crafted_on_one_network_and_shown_to_another(
    victim: DeployedNetwork, trained_network: nn.Module, few: Batch
) -> None:
    """An attacker who knows the trigger adds it to a network of his own."""
    surrogate = DeployedNetwork(trained_network, victim.trigger).eval()
    right, _ = found(victim, surrogate, "mifgsm", few)
    images, labels = to_float(few[0]), few[1]
    pairs = zip(images.split(BATCH_SIZE), labels.split(BATCH_SIZE), strict=True)
    crafted = torch.cat([attack("mifgsm").perturb(surrogate, *pair, seeded()) for pair in pairs])
    with torch.no_grad():
        assert torch.equal(right, victim(crafted).argmax(dim=1) == labels)


class Mistaken(nn.Module):
    """Answers with class 0 whatever it sees, but its gradient goes on."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        shift = torch.zeros_like(logits)
        shift[:, 0] = 1e4
        return logits + shift


def test_images_that_the_attacked_network_misclassifies_are_left_as_they_are(
    trained_network: nn.Module, few: Batch
) -> None:
    mistaken = Mistaken(trained_network).eval()
    with torch.no_grad():
        clean = trained_network(to_float(few[0])).argmax(dim=1) == few[1]
    other = few[1] != 0
    spared, _ = found(trained_network, mistaken, "pgd", few, spares=True)
    attacked, _ = found(trained_network, mistaken, "pgd", few)
    assert torch.equal(spared[other], clean[other])
    assert not torch.equal(attacked, clean)


def test_a_random_victim_answers_with_draws_of_its_own(trained_network: nn.Module, few: Batch) -> None:
    method = PREPROCESSING["resize_pad"](scale=1.5, resize_back=True)

    def defended(seed: int) -> DefendedNetwork:
        return DefendedNetwork(method, trained_network, seeded(seed)).eval()

    answers = [
        withstood(defended(seed), defended(1), attack("eot"), *few, BATCH_SIZE, seeded(), spares=True)[0]
        for seed in (2, 2, 3)
    ]
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])


def test_nothing_is_left_behind(victim: DeployedNetwork, few: Batch) -> None:
    before, state = copy.deepcopy(victim), torch.get_rng_state()
    found(victim, victim, "square", few, spares=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert bits_equal(victim, before)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in victim.parameters())
