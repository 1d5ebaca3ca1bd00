"""Diagnostics of the theorems on networks where every quantity is known, and on a trained one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.trainings import rounding
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.evaluation.loss import loss_and_accuracy
from trigger_activation.science.evaluation.theory import (
    first_order,
    loss_bound,
    losses_and_gradients,
    sign_agreement,
    worst_case,
)
from trigger_activation.science.images import to_float

SIDE = 4
EPS_T = 64 / 255


def images(count: int = 12, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, SIDE, SIDE, 3), generator=generator, dtype=torch.uint8)


def signs(seed: int = 1) -> Tensor:
    return torch.randint(0, 2, (3, SIDE, SIDE), generator=torch.Generator().manual_seed(seed)).double() * 2 - 1


class LinearLoss(nn.Module):
    """Two classes; far on the wrong side of class 0, whose loss log(1 + exp(40 + w x)) is 40 + w x in double."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, inputs: Tensor) -> Tensor:
        margin = 40 + (inputs * self.weights).sum(dim=(1, 2, 3))
        return torch.stack([torch.zeros_like(margin), margin], dim=1)


def smooth_network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(6 * (SIDE - 2) ** 2, 5)).double()


def measured(weights: Tensor, trigger: Tensor) -> dict[str, float]:
    return vars(first_order(LinearLoss(weights), trigger, images(), torch.zeros(12, dtype=torch.int64), 5))


def against(trigger: Tensor, seed: int = 2) -> Tensor:
    """Weights of random size that all point against the trigger."""
    size = torch.rand(trigger.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return -(size / 100 + 0.001) * trigger.sign()


def test_where_the_loss_is_linear_all_is_as_the_theorem_says() -> None:
    trigger = EPS_T * signs()
    weights = against(trigger)
    found = measured(weights, trigger)
    assert found["sign_agreement"] == 1
    assert found["inner_product"] == pytest.approx(float((weights * trigger).sum()), rel=1e-12)
    assert found["hoelder_bound"] == pytest.approx(-found["inner_product"], rel=1e-12)
    assert found["linearity_gap"] == pytest.approx(0, abs=1e-12)
    change = found["loss_with_trigger"] - found["loss_without_trigger"]
    assert change == pytest.approx(found["inner_product"], rel=1e-12)


def test_one_sign_that_differs_loosens_hoelders_bound_by_twice_its_entry() -> None:
    trigger = EPS_T * signs()
    weights = against(trigger)
    weights[1, 2, 3] *= -1
    found = measured(weights, trigger)
    assert found["sign_agreement"] == pytest.approx(1 - 1 / trigger.numel())
    slack = found["hoelder_bound"] + found["inner_product"]
    assert slack == pytest.approx(2 * EPS_T * abs(float(weights[1, 2, 3])), rel=1e-9)


def test_a_constant_network_guesses_and_points_nowhere() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 10)).double()
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    found = first_order(network, EPS_T * signs(), images(), torch.arange(12) % 10, 5)
    assert (found.sign_agreement, found.inner_product, found.hoelder_bound) == (0, 0, 0)
    assert found.loss_without_trigger == pytest.approx(math.log(10), abs=1e-12)


def test_gradients_of_a_linear_classifier_are_those_of_the_textbook() -> None:
    """grad CE = W^T (softmax - onehot)."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 5)).double()
    inputs, labels = to_float(images()).double(), torch.arange(12) % 5
    weights = network[1].weight
    with torch.no_grad():
        error = network(inputs).softmax(dim=1) - functional.one_hot(labels, 5)
        expected = (error @ weights).reshape(inputs.shape)
    losses, gradients = losses_and_gradients(network, inputs, labels)
    assert torch.allclose(gradients, expected, atol=1e-14)
    assert torch.allclose(losses, functional.cross_entropy(network(inputs), labels, reduction="none"))


def test_the_inner_product_is_the_slope_towards_the_trigger() -> None:
    network, labels, step = smooth_network(), torch.arange(12) % 5, 1e-5
    trigger = EPS_T * signs()
    inputs = to_float(images()).double()
    ahead, behind = (functional.cross_entropy(network(inputs + s * trigger), labels) for s in (step, -step))
    slope = float((ahead - behind).detach()) / (2 * step)
    assert first_order(network, trigger, images(), labels, 5).inner_product == pytest.approx(slope, rel=1e-7)


def test_the_linearity_gap_is_that_of_a_plain_loop() -> None:
    network, labels, trigger = smooth_network(), torch.arange(12) % 5, EPS_T * signs()
    gaps = []
    for image, label in zip(to_float(images()).double(), labels, strict=True):
        point = image[None].requires_grad_()
        before = functional.cross_entropy(network(point), label[None])
        (slope,) = torch.autograd.grad(before, point)
        after = functional.cross_entropy(network(point + trigger), label[None])
        gaps.append(abs(float((after - before).detach()) - float((slope[0] * trigger).sum())))
    expected = sum(gaps) / len(gaps)
    assert first_order(network, trigger, images(), labels, 5).linearity_gap == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("batch_size", [1, 5, 12])
def test_batches_do_not_matter(batch_size: int) -> None:
    network, labels, trigger = smooth_network(), torch.arange(12) % 5, EPS_T * signs()
    one, other = (vars(first_order(network, trigger, images(), labels, size)) for size in (batch_size, 12))
    assert one == pytest.approx(other, rel=1e-12)


def test_signs_agree_with_the_opposite_of_the_trigger_only() -> None:
    trigger = EPS_T * signs()
    assert sign_agreement(-trigger, trigger) == 1
    assert sign_agreement(trigger, trigger) == 0
    assert sign_agreement(signs(seed=5), trigger) == pytest.approx(0.5, abs=0.25)


def test_the_bound_has_the_values_of_the_specification() -> None:
    """For eps = 8/255 and ten classes."""
    bounds = [round(loss_bound(8 / 255, eps_t / 255, 10), 3) for eps_t in (8, 16, 32, 64)]
    assert bounds == [2.303, 1.151, 0.576, 0.288]


@pytest.mark.parametrize("eps", [8 / 255, 64 / 255, 0.5])
def test_the_worst_case_goes_against_the_trigger_as_far_as_allowed(eps: float) -> None:
    trigger = EPS_T * signs()
    delta = worst_case(trigger, eps)
    assert torch.allclose(delta.abs(), torch.full_like(delta, eps))
    assert sign_agreement(delta, trigger) == 1


def test_where_the_loss_is_linear_nothing_is_worse_than_the_worst_case() -> None:
    trigger, eps = EPS_T * signs(), 16 / 255
    network = LinearLoss(against(trigger))
    inputs, labels = to_float(images()).double() + trigger, torch.zeros(12, dtype=torch.int64)
    worst = functional.cross_entropy(network(inputs + worst_case(trigger, eps)), labels)
    for seed in range(20):
        delta = eps * (2 * torch.rand(trigger.shape, generator=torch.Generator().manual_seed(seed)).double() - 1)
        assert functional.cross_entropy(network(inputs + delta), labels) < worst


class TestTrainedNetwork:
    def test_losses_are_those_of_the_deployed_network(
        self, triggered_network: tuple[nn.Module, Tensor], fashion16_test: tuple[Tensor, Tensor]
    ) -> None:
        network, trigger = triggered_network
        found = first_order(network, trigger, *fashion16_test, 100)
        for shift, loss in ((trigger, found.loss_with_trigger), (None, found.loss_without_trigger)):
            expected, _ = loss_and_accuracy(DeployedNetwork(network, shift), *fashion16_test, 250)
            assert loss == pytest.approx(expected, rel=rounding(network))

    def test_hoelders_inequality_holds(
        self, triggered_network: tuple[nn.Module, Tensor], fashion16_test: tuple[Tensor, Tensor]
    ) -> None:
        found = first_order(*triggered_network, *fashion16_test, 100)
        assert abs(found.inner_product) < found.hoelder_bound

    def test_the_network_is_left_as_it_was(
        self, triggered_network: tuple[nn.Module, Tensor], fashion16_test: tuple[Tensor, Tensor]
    ) -> None:
        network, trigger = triggered_network
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        first_order(network, trigger, *fashion16_test, 100)
        assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
        assert all(parameter.grad is None for parameter in network.parameters())
