"""RAT against its formulas, written out here: soft targets, crafting on noisy weights, the loss."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from tests.support.trainings import assert_same_statistics, bits_equal, trained_on
from trigger_activation.errors import UserError
from trigger_activation.science.images import to_float
from trigger_activation.science.training.paradigms import PARADIGMS
from trigger_activation.science.training.paradigms.rat import (
    class_gradients,
    divergence,
    noisy_convolutions,
    target_matrix,
)

EPS, STEP = 8 / 255, 2 / 255

Batch = tuple[Tensor, Tensor]


def rat(**changes: object) -> Any:
    return PARADIGMS["rat"](**{"eps": "8/255", "steps": 2, "step_size": "2/255"} | changes)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.fixture
def batch(fashion16_train: Batch) -> Batch:
    return to_float(fashion16_train[0][:64]), fashion16_train[1][:64]


def looped_matrix(vector: list[float], kappa: float) -> list[list[float]]:
    """Q as the authors describe it: shift to zero, leave the class out, renormalise to kappa."""
    shifted = [value - min(vector) for value in vector]
    rows = []
    for row in range(len(vector)):
        rest = sum(value for column, value in enumerate(shifted) if column != row)
        entries = [kappa * value / rest if rest > 0 else kappa / (len(vector) - 1) for value in shifted]
        rows.append([1 - kappa if column == row else entry for column, entry in enumerate(entries)])
    return rows


class TestTargetMatrix:
    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize(("classes", "kappa"), [(3, 0.5), (10, 0.8), (100, 0.98)])
    def test_is_the_loop_that_defines_it(self, classes: int, kappa: float, seed: int) -> None:
        vector = torch.randn(classes, generator=seeded(seed), dtype=torch.float64)
        expected = torch.tensor(looped_matrix(vector.tolist(), kappa), dtype=torch.float64)
        torch.testing.assert_close(target_matrix(vector, kappa), expected)

    @pytest.mark.parametrize("scale", [1e-12, 1.0, 1e6])
    @pytest.mark.parametrize(("classes", "kappa"), [(2, 0.3), (10, 0.8), (100, 0.98)])
    def test_rows_are_distributions_with_the_rest_of_kappa_on_the_diagonal(
        self, classes: int, kappa: float, scale: float
    ) -> None:
        matrix = target_matrix(scale * torch.randn(classes, generator=seeded()), kappa)
        torch.testing.assert_close(matrix.sum(dim=1), torch.ones(classes))
        torch.testing.assert_close(matrix.diagonal(), torch.full((classes,), 1 - kappa))
        assert matrix.min() >= 0

    @pytest.mark.parametrize("constant", [0.0, -3.5, 1e-30])
    def test_a_constant_vector_shares_equally(self, constant: float) -> None:
        matrix = target_matrix(torch.full((10,), constant), 0.9)
        torch.testing.assert_close(matrix, torch.full((10, 10), 0.1))

    def test_the_only_class_above_the_lowest_shares_equally_too(self) -> None:
        matrix = target_matrix(torch.tensor([0.0, 5.0, 0.0, 0.0]), 0.6)
        torch.testing.assert_close(matrix[1], torch.tensor([0.2, 0.4, 0.2, 0.2]))
        torch.testing.assert_close(matrix[0], torch.tensor([0.4, 0.6, 0.0, 0.0]))


class TestTargets:
    @pytest.mark.parametrize(("classes", "kappa"), [(10, 0.8), (100, 0.98)])
    def test_kappa_is_the_published_one(self, classes: int, kappa: float) -> None:
        gradients = torch.randn(2, classes, generator=seeded())
        for pair in rat().targets(*gradients):
            for matrix in pair:
                torch.testing.assert_close(matrix.diagonal(), torch.full((classes,), 1 - kappa))

    def test_kappa_can_be_chosen(self) -> None:
        (matrix, _), _ = rat(kappa=0.25).targets(*torch.randn(2, 5, generator=seeded()))
        torch.testing.assert_close(matrix.diagonal(), torch.full((5,), 0.75))

    @pytest.mark.parametrize("second_order", ["official", "symmetric"])
    def test_are_those_of_both_orders(self, second_order: str) -> None:
        clean, crafted = torch.randn(2, 10, generator=seeded(), dtype=torch.float64).tolist()
        first = [abs(a) - abs(b) for a, b in zip(clean, crafted, strict=True)]
        second = [a**2 - b**2 for a, b in zip(clean, crafted, strict=True)]
        minus_first, minus_second = [-u for u in first], [-u for u in second]
        of_crafted = minus_second if second_order == "official" else second
        vectors = (first, minus_first, of_crafted, minus_second)
        expected = [torch.tensor(looped_matrix(vector, 0.8), dtype=torch.float64) for vector in vectors]
        tensors = (torch.tensor(values, dtype=torch.float64) for values in (clean, crafted))
        for found, wanted in zip(sum(rat(second_order=second_order).targets(*tensors), ()), expected, strict=True):
            torch.testing.assert_close(found, wanted)


def test_class_gradients_are_those_of_the_last_layer(trained_network: nn.Module, batch: Batch) -> None:
    """For softmax and cross entropy, G = (p - onehot)^T h / B with the features h before the layer."""
    images, labels = batch
    features: list[Tensor] = []
    trained_network.classifier.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0].detach()))
    logits = trained_network(images)
    errors = logits.detach().softmax(dim=1) - functional.one_hot(labels, 10)
    expected = (errors.T @ features[0] / len(images)).sum(dim=1)
    found = class_gradients(logits, labels, trained_network.classifier.weight)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)
    assert not found.requires_grad


def kl(target: Tensor, predicted: Tensor) -> Tensor:
    """The mean over the batch of KL(target || predicted), both (B, C) with positive entries."""
    return (target * (target.log() - predicted.log())).sum(dim=1).mean()


def with_noise(network: nn.Module, deviation: float, given: Generator) -> nn.Module:
    """A copy in evaluation mode with N(0, deviation^2) added to all parameters of convolutions."""
    noisy = copy.deepcopy(network).eval()
    for module in noisy.modules():
        if isinstance(module, nn.Conv2d):
            for parameter in module.parameters():
                parameter.data += deviation * torch.randn(parameter.shape, generator=given)
    return noisy


def trades_images(network: nn.Module, images: Tensor, steps: int, given: Generator) -> Tensor:
    """What TRADES crafts on a network in evaluation mode."""
    with torch.no_grad():
        clean = network(images).softmax(dim=1)
    current = images + 0.001 * torch.randn(images.shape, generator=given)
    for _ in range(steps):
        current = current.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(kl(clean, network(current).softmax(dim=1)), current)
        moved = current.detach() + STEP * gradient.sign()
        current = torch.min(torch.max(moved, images - EPS), images + EPS).clamp(0, 1)
    return current


class TestRATCrafting:
    @pytest.fixture
    def double(self, trained_network: nn.Module, batch: Batch) -> tuple[nn.Module, Tensor]:
        """In double precision folded normalisation does not flip a sign."""
        return trained_network.double(), batch[0][:16].double()

    @pytest.mark.parametrize("deviation", [0.0, 1e-4, 0.05])
    def test_is_that_of_trades_on_a_copy_with_noisy_convolutions(
        self, deviation: float, double: tuple[nn.Module, Tensor]
    ) -> None:
        network, images = double
        given = seeded(3)
        expected = trades_images(with_noise(network, deviation, given), images, 4, given)
        crafted = rat(steps=4, weight_noise=deviation).craft(network.train(), images, seeded(3))
        torch.testing.assert_close(crafted, expected, atol=1e-6, rtol=0)

    def test_keeps_the_budget_and_the_pixel_range(self, trained_network: nn.Module, batch: Batch) -> None:
        crafted = rat(steps=6).craft(trained_network, batch[0], seeded())
        assert (crafted - batch[0]).abs().max() <= EPS + 1e-6
        assert (crafted - batch[0]).abs().mean() > STEP
        assert crafted.min() >= 0
        assert crafted.max() <= 1

    def test_makes_predictions_diverge(self, trained_network: nn.Module, batch: Batch) -> None:
        crafted = rat(steps=4).craft(trained_network, batch[0], seeded())
        noise = EPS * (2 * torch.randint(0, 2, batch[0].shape, generator=seeded()) - 1)
        with torch.no_grad():
            clean, attacked, noisy = (
                trained_network(images).softmax(dim=1) for images in (batch[0], crafted, batch[0] + noise)
            )
        assert kl(clean, attacked) > 2 * kl(clean, noisy)

    def test_leaves_the_network_as_it_was(self, fresh_network: nn.Module, batch: Batch) -> None:
        before, parameters = copy.deepcopy(fresh_network), list(fresh_network.parameters())
        rat().craft(fresh_network.train(), batch[0], seeded())
        assert bits_equal(fresh_network, before)
        assert all(now is then for now, then in zip(fresh_network.parameters(), parameters, strict=True))
        assert all(parameter.requires_grad and parameter.grad is None for parameter in parameters)
        assert all(module.training for module in fresh_network.modules())

    def test_a_network_that_fails_is_left_as_it_was_too(self, fresh_network: nn.Module) -> None:
        before, parameters = copy.deepcopy(fresh_network), list(fresh_network.parameters())
        with pytest.raises(RuntimeError):
            rat().craft(fresh_network.train(), torch.rand(4, 5, 16, 16), seeded())
        assert bits_equal(fresh_network, before)
        assert all(now is then for now, then in zip(fresh_network.parameters(), parameters, strict=True))
        assert all(module.training for module in fresh_network.modules())

    def test_noise_is_for_convolutions_whatever_they_are_called(self) -> None:
        layers = {"entrance": nn.Conv2d(3, 64, 3), "conv_norm": nn.BatchNorm2d(64), "conv_head": nn.Linear(64, 10)}
        network = nn.ModuleDict({**layers, "downsample": nn.Sequential(nn.Conv2d(64, 64, 1, bias=False))})
        own = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
        with noisy_convolutions(network, 1e-2, seeded()):
            noise = {name: parameter.detach() - own[name] for name, parameter in network.named_parameters()}
        changed = {name for name, difference in noise.items() if difference.any()}
        assert changed == {"entrance.weight", "entrance.bias", "downsample.0.weight"}
        drawn = torch.cat([noise[name].flatten() for name in changed]) / 1e-2
        assert abs(drawn.mean()) < 4 / len(drawn) ** 0.5
        assert abs(drawn.square().mean() - 1) < 4 * (2 / len(drawn)) ** 0.5

    def test_moves_no_running_statistics_and_training_on_both_inputs_does(
        self, fresh_network: nn.Module, batch: Batch
    ) -> None:
        expected, seen = copy.deepcopy(fresh_network), trained_on(fresh_network)
        rat().loss(fresh_network.train(), *batch, None, seeded())
        assert len(seen) == 2
        assert torch.equal(seen[0], batch[0])
        for images in seen:
            expected.train()(images)
        assert_same_statistics(fresh_network, expected)


class TestRATLoss:
    def written_out(self, network: nn.Module, batch: Batch, crafted: Tensor, alpha: float, second_order: str) -> Tensor:
        """The loss as the paper and its code have it, with soft targets as plain numbers."""
        images, labels = batch
        sums: list[Tensor] = []
        logits = [network(images), network(crafted)]
        for z in logits:
            (gradient,) = torch.autograd.grad(
                functional.cross_entropy(z, labels), network.classifier.weight, retain_graph=True
            )
            sums.append(gradient.sum(dim=1).detach().double())
        first, second = sums[0].abs() - sums[1].abs(), sums[0] ** 2 - sums[1] ** 2

        def targets(vector: Tensor) -> Tensor:
            matrix = looped_matrix(vector.tolist(), 0.8)
            return torch.tensor([matrix[label] for label in labels.tolist()]).clamp(min=1e-30)

        clean, attacked = (z.softmax(dim=1) for z in logits)
        straight = -second if second_order == "official" else second
        first_term = 0.5 * (kl(targets(first), attacked) + kl(targets(-first), clean))
        second_term = 0.5 * (kl(targets(straight), attacked) + kl(targets(-second), clean))
        natural = -clean[range(len(labels)), labels].log().mean()
        return (1 - alpha) * natural + 6 * kl(clean, attacked) + alpha * first_term + 0.5 * alpha * second_term

    @pytest.mark.parametrize(("alpha", "second_order"), [(0.0, "official"), (0.2, "official"), (0.9, "symmetric")])
    def test_is_the_formula_and_its_gradient_takes_targets_as_constants(
        self, alpha: float, second_order: str, trained_network: nn.Module, batch: Batch
    ) -> None:
        network = trained_network.train()
        seen = trained_on(network)
        loss = rat(alpha=alpha, second_order=second_order).loss(network, *batch, None, seeded())
        expected = self.written_out(network, batch, seen[1], alpha, second_order)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
        for found, wanted in zip(
            *(torch.autograd.grad(it, network.parameters()) for it in (loss, expected)), strict=True
        ):
            torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)

    def test_both_second_orders_differ(self, trained_network: nn.Module, batch: Batch) -> None:
        losses = {
            rat(second_order=order).loss(trained_network, *batch, None, seeded()).item()
            for order in ("official", "symmetric")
        }
        assert len(losses) == 2

    def test_without_taylor_terms_and_noise_is_trades(self, trained_network: nn.Module, batch: Batch) -> None:
        network = trained_network.double().train()
        images, labels = batch[0][:32].double(), batch[1][:32]
        given = seeded(3)
        frozen = with_noise(network, 0.0, given)
        crafted = trades_images(frozen, images, 3, given)
        clean, attacked = (copy.deepcopy(network)(x).softmax(dim=1) for x in (images, crafted))
        expected = functional.nll_loss(clean.log(), labels) + 6 * kl(clean, attacked)
        trades = rat(alpha=0, weight_noise=0, steps=3)
        assert trades.loss(network, images, labels, None, seeded(3)).item() == pytest.approx(expected.item(), rel=1e-6)

    @pytest.mark.parametrize("seed", range(4))
    def test_its_divergences_are_not_negative_and_vanish_on_their_targets(self, seed: int) -> None:
        targets = target_matrix(torch.randn(10, generator=seeded(seed)), 0.8)
        for scale in (0.01, 1.0, 30.0):
            predicted = (scale * torch.randn(10, 10, generator=seeded(seed))).log_softmax(dim=1)
            assert divergence(targets, predicted) > 0
        assert divergence(targets, targets.clamp(min=1e-30).log()).item() == pytest.approx(0, abs=1e-6)

    def test_what_it_adds_to_the_cross_entropy_is_positive(self, trained_network: nn.Module, batch: Batch) -> None:
        natural = functional.cross_entropy(trained_network(batch[0]), batch[1]).item()
        taylor = rat(alpha=1, beta=0).loss(trained_network, *batch, None, seeded())
        trades = rat(alpha=0, beta=6).loss(trained_network, *batch, None, seeded())
        assert taylor.item() > 0
        assert trades.item() > natural

    def test_a_network_without_a_linear_layer_is_refused_in_one_sentence(self, batch: Batch) -> None:
        convolutional = nn.Sequential(nn.Conv2d(3, 10, 16), nn.Flatten())
        with pytest.raises(UserError, match=r"linear layer with 10 outputs .* choose another network") as caught:
            rat().loss(convolutional, *batch, None, seeded())
        assert "\n" not in str(caught.value)

    def test_a_linear_layer_that_gives_no_logits_is_refused(self, batch: Batch) -> None:
        inner = nn.Sequential(nn.Flatten(), nn.Linear(768, 20), nn.Unflatten(1, (20, 1, 1)), nn.Conv2d(20, 10, 1))
        with pytest.raises(UserError, match=r"choose another network"):
            rat().loss(nn.Sequential(inner, nn.Flatten()), *batch, None, seeded())
