"""What RAT, TDAT and the noise control have in common, and TDAT and the control against their formulas, written out."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from tests.support.trainings import assert_same_statistics, bits_equal, recipe, rounding, streams, trained_on
from trigger_activation.errors import UserError
from trigger_activation.plan.config.loader import validate
from trigger_activation.science.evaluation.accuracy import predict
from trigger_activation.science.images import to_float
from trigger_activation.science.training.loop import train
from trigger_activation.science.training.paradigms import PARADIGMS, Paradigm
from trigger_activation.science.training.paradigms.tdat import penalty, relaxed_labels

EPS = 8 / 255
GIVEN: dict[str, dict[str, Any]] = {
    "noise_augmentation": {"noise_eps": "64/255"},
    "rat": {"eps": "8/255", "steps": 2, "step_size": "2/255"},
    "tdat": {"eps": "8/255", "gamma_min": 0.15, "regularisation": 0.6},
}
every_paradigm = pytest.mark.parametrize("name", GIVEN)

Batch = tuple[Tensor, Tensor]


def paradigm(name: str, **changes: object) -> Any:
    return PARADIGMS[name](**GIVEN[name] | changes)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.fixture
def data(fashion16_train: Batch) -> Batch:
    return fashion16_train[0][:256], fashion16_train[1][:256]


@pytest.fixture
def batches(data: Batch) -> list[Batch]:
    """Four batches of 64."""
    return list(zip(to_float(data[0]).split(64), data[1].split(64), strict=True))


@pytest.fixture
def batch(batches: list[Batch]) -> Batch:
    return batches[0]


class TestEveryParadigm:
    @every_paradigm
    def test_the_same_streams_give_the_same_bits_even_from_one_instance(
        self, name: str, fresh_network: nn.Module, data: Batch
    ) -> None:
        shared, other = paradigm(name), copy.deepcopy(fresh_network)
        for network in (fresh_network, other):
            train(network, shared, data[0][:128], data[1][:128], recipe(2), streams())
        assert bits_equal(fresh_network, other)

    @every_paradigm
    def test_its_noise_comes_from_the_noise_stream(self, name: str, fresh_network: nn.Module, data: Batch) -> None:
        other, states = copy.deepcopy(fresh_network), torch.get_rng_state()
        changed = streams()
        changed.noise.manual_seed(99)
        for network, given in ((fresh_network, streams()), (other, changed)):
            train(network, paradigm(name), data[0][:128], data[1][:128], recipe(1), given)
        assert not bits_equal(fresh_network, other)
        assert torch.equal(torch.get_rng_state(), states)

    @every_paradigm
    def test_has_no_trigger(self, name: str, fresh_network: nn.Module, data: Batch) -> None:
        assert train(fresh_network, paradigm(name), data[0][:64], data[1][:64], recipe(1), streams()) is None

    @every_paradigm
    def test_leaves_modes_and_parameter_gradients_alone(
        self, name: str, fresh_network: nn.Module, batch: Batch
    ) -> None:
        before = {key: parameter.clone() for key, parameter in fresh_network.named_parameters()}
        loss = paradigm(name).loss(fresh_network.train(), *batch, None, seeded())
        assert all(module.training for module in fresh_network.modules())
        for key, parameter in fresh_network.named_parameters():
            assert parameter.grad is None
            assert parameter.requires_grad
            assert torch.equal(parameter, before[key])
        loss.backward()
        assert all(parameter.grad is not None for parameter in fresh_network.parameters())

    @every_paradigm
    def test_learns(self, name: str, fresh_network: nn.Module, fashion16_train: Batch, fashion16_test: Batch) -> None:
        train(fresh_network, paradigm(name), *fashion16_train, recipe(3), streams())
        predicted = predict(fresh_network.eval(), fashion16_test[0], 250)
        assert (predicted == fashion16_test[1]).float().mean() > 0.4

    @pytest.mark.parametrize(
        ("name", "wrong", "words"),
        [
            ("rat", {"alpha": 1.5}, ("alpha", "less than or equal to 1")),
            ("rat", {"beta": -1.0}, ("beta", "greater than or equal to 0")),
            ("rat", {"weight_noise": -1e-4}, ("weight_noise", "greater than or equal to 0")),
            ("rat", {"steps": 0}, ("steps", "greater than 0")),
            ("rat", {"kappa": 1.01}, ("kappa",)),
            ("rat", {"second_order": "third"}, ("second_order", "'official' or 'symmetric'")),
            ("rat", {"step_size": 2}, ("step_size", "2/255")),
            ("tdat", {"gamma_min": -0.1}, ("gamma_min", "greater than or equal to 0")),
            ("tdat", {"gamma_min": 1.1}, ("gamma_min", "less than or equal to 1")),
            ("tdat", {"regularisation": -0.6}, ("regularisation", "greater than or equal to 0")),
            ("tdat", {"momentum": 0.75}, ("momentum", "'official' or 'intended'")),
            ("noise_augmentation", {"noise_eps": 64}, ("noise_eps", "64/255")),
            ("noise_augmentation", {"eps": "8/255"}, ("eps", "no known key")),
        ],
    )
    def test_wrong_values_are_refused_in_one_sentence(
        self, name: str, wrong: dict[str, Any], words: tuple[str, ...]
    ) -> None:
        with pytest.raises(UserError) as caught:
            validate(PARADIGMS[name], GIVEN[name] | wrong, "config/paradigms/x.yaml")
        assert "\n" not in str(caught.value)
        assert all(word in str(caught.value) for word in words), str(caught.value)


class EpochsApart(Paradigm):
    """The loss of epoch e (from 0) is e times the cross entropy; counts its trainings."""

    def losses(self, epochs: int, carried: dict[str, Tensor]) -> Iterator[Any]:  # noqa: ARG002
        for epoch in range(epochs):
            yield partial(self.scaled, epoch)

    def scaled(self, factor: int, network: nn.Module, images: Tensor, labels: Tensor, *_: Any) -> Tensor:
        return factor * functional.cross_entropy(network(images), labels)

    def loss(self, *_: Any) -> Tensor:
        raise AssertionError("the loop asks for the losses of a training")


def test_the_loop_gives_each_epoch_its_own_loss(fresh_network: nn.Module, data: Batch) -> None:
    found: list[float] = []
    train(fresh_network, EpochsApart(), *data, recipe(3), streams(), lambda report: found.append(report.loss))
    assert found[0] == 0
    assert found[1] > 0
    assert found[2] > found[1]


class TestNoiseAugmentation:
    MAGNITUDE = 64 / 255

    def noise(self, network: nn.Module, batch: Batch, *seeds: int) -> list[Tensor]:
        seen = trained_on(network)
        for seed in seeds:
            paradigm("noise_augmentation").loss(network.train(), *batch, None, seeded(seed))
        return [images - batch[0] for images in seen]

    def test_changes_every_entry_by_its_magnitude_without_clipping(
        self, fresh_network: nn.Module, batch: Batch
    ) -> None:
        (noise,) = self.noise(fresh_network, batch, 0)
        assert ((noise.abs() - self.MAGNITUDE).abs() < 1e-6).all()
        assert (batch[0] + noise).min() < 0
        assert (batch[0] + noise).max() > 1

    def test_signs_are_balanced_and_differ_among_images_and_channels(
        self, fresh_network: nn.Module, batch: Batch
    ) -> None:
        (noise,) = self.noise(fresh_network, batch, 0)
        signs = noise.sign()
        assert abs(signs.sum()) < 4 * signs.numel() ** 0.5
        assert abs((signs[0] * signs[1]).sum()) < 4 * signs[0].numel() ** 0.5
        assert abs((signs[:, 0] * signs[:, 1]).sum()) < 4 * signs[:, 0].numel() ** 0.5

    def test_is_drawn_anew_for_every_batch(self, fresh_network: nn.Module, batch: Batch) -> None:
        seen, given = trained_on(fresh_network), seeded()
        for _ in range(2):
            paradigm("noise_augmentation").loss(fresh_network.train(), *batch, None, given)
        first, second = (images - batch[0] for images in seen)
        assert abs((first.sign() * second.sign()).sum()) < 4 * first.numel() ** 0.5

    def test_is_cross_entropy_on_the_noisy_images(self, fresh_network: nn.Module, batch: Batch) -> None:
        seen = trained_on(fresh_network)
        loss = paradigm("noise_augmentation").loss(fresh_network.train(), *batch, None, seeded())
        expected = functional.cross_entropy(fresh_network(seen[0]), batch[1])
        assert loss.item() == pytest.approx(expected.item(), rel=rounding(fresh_network))

    def test_without_magnitude_is_standard_training_bit_for_bit(self, fresh_network: nn.Module, data: Batch) -> None:
        other = copy.deepcopy(fresh_network)
        train(fresh_network, PARADIGMS["standard"](), *data, recipe(1), streams())
        train(other, paradigm("noise_augmentation", noise_eps=0), *data, recipe(1), streams())
        assert bits_equal(fresh_network, other)


class TestRelaxation:
    def test_gamma_starts_at_the_published_value(self) -> None:
        assert paradigm("tdat").gamma(0) == pytest.approx(0.6 * math.tan(1))
        assert f"{paradigm('tdat').gamma(0):.3f}" == "0.934"

    @pytest.mark.parametrize(("floor", "epochs", "reached"), [(0.15, 60, 46), (0.05, 100, 92), (0.10, 100, 84)])
    def test_gamma_falls_to_its_floor(self, floor: float, epochs: int, reached: int) -> None:
        gammas = [paradigm("tdat", gamma_min=floor).gamma(epoch / epochs) for epoch in range(epochs)]
        assert all(later < earlier for earlier, later in pairwise(gammas[: reached + 1]))
        assert gammas[reached - 1] > floor
        assert set(gammas[reached:]) == {floor}

    @pytest.mark.parametrize("classes", [2, 10, 100])
    @pytest.mark.parametrize("gamma", [0.15, 0.934, 1.0])
    def test_relaxed_labels_are_distributions(self, gamma: float, classes: int) -> None:
        labels = torch.randint(0, classes, (16,), generator=seeded())
        for row, label in zip(relaxed_labels(labels, classes, gamma).tolist(), labels.tolist(), strict=True):
            assert sum(row) == pytest.approx(1)
            assert row.pop(label) == pytest.approx(gamma)
            assert row == pytest.approx([(1 - gamma) / (classes - 1)] * (classes - 1))


class TestPenalty:
    def test_is_the_sum_that_defines_it(self) -> None:
        before, after = 3 * torch.randn(2, 8, 5, generator=seeded(), dtype=torch.float64)
        labels = torch.randint(0, 5, (8,), generator=seeded())
        total = 0.0
        for first, second, label in zip(before.tolist(), after.tolist(), labels.tolist(), strict=True):
            probability = math.exp(first[label]) / sum(map(math.exp, first))
            distance = sum((a - b) ** 2 for a, b in zip(first, second, strict=True))
            total += distance * math.tanh(1.0000001 - probability)
        assert penalty(before, after, labels).item() == pytest.approx(total / 8)

    def test_its_gradient_passes_through_logits_and_weights(self) -> None:
        before, after = torch.randn(2, 8, 5, generator=seeded(), dtype=torch.float64).unbind()
        labels = torch.randint(0, 5, (8,), generator=seeded())
        assert torch.autograd.gradcheck(
            lambda *logits: penalty(*logits, labels), (before.requires_grad_(), after.requires_grad_())
        )


class TestTDAT:
    @staticmethod
    def clip(delta: Tensor, images: Tensor) -> Tensor:
        limited = delta.clamp(-EPS, EPS)
        return torch.clamp(images + limited, 0, 1) - images

    @pytest.mark.parametrize("momentum", ["official", "intended"])
    def test_is_the_authors_loop_written_out(
        self, momentum: str, fresh_network: nn.Module, batches: list[Batch]
    ) -> None:
        """Three epochs of two batches, with updates of the network in between."""
        ours, theirs = fresh_network.train(), copy.deepcopy(fresh_network).train()
        seen, carried = trained_on(ours), torch.empty(0)
        optimizers = [torch.optim.SGD(network.parameters(), lr=0.02) for network in (ours, theirs)]
        given = seeded()
        for epoch, loss_of in enumerate(paradigm("tdat", momentum=momentum).losses(3, {})):
            gamma = max(0.6 * math.tan(1 - epoch / 3), 0.15)
            for images, labels in batches[:2]:
                loss = loss_of(ours, images, labels, None, given)
                first, second = (inputs - images for inputs in seen[-2:])
                if len(seen) == 2:
                    carried = first
                torch.testing.assert_close(first, carried, atol=1e-5, rtol=0)

                variable = first.clone().requires_grad_()
                before = theirs(images + variable)
                relaxed = torch.full((64, 10), (1 - gamma) / 9)
                relaxed[range(64), labels] = gamma
                objective = -(relaxed * before.log_softmax(dim=1)).sum()
                (gradient,) = torch.autograd.grad(objective, variable, retain_graph=True)
                delta = self.clip(first + EPS * gradient.sign(), images)
                assert ((delta - second).abs() < 1e-5).float().mean() > 0.999  # rounding may turn a sign
                after = theirs(images + second)
                smoothed = gamma * functional.one_hot(labels, 10) + (1 - gamma) / 10
                weights = torch.tanh(1 - before.softmax(dim=1)[range(64), labels])
                expected = -(smoothed * after.log_softmax(dim=1)).sum(dim=1).mean()
                expected = expected + 0.6 * ((before - after).square().sum(dim=1) * weights).mean()
                assert loss.item() == pytest.approx(expected.item(), rel=1e-4)

                average = self.clip(0.75 * first + 0.25 * second, images)
                carried = second if momentum == "official" else average
                for optimizer, value in zip(optimizers, (loss, expected), strict=True):
                    optimizer.zero_grad()
                    value.backward()
                    optimizer.step()
        for found, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)

    def test_with_hard_labels_and_no_penalty_is_fgsm_training_from_the_last_perturbation(
        self, fresh_network: nn.Module, batches: list[Batch]
    ) -> None:
        network, given = fresh_network.train(), seeded()
        (loss_of,) = paradigm("tdat", gamma_min=1, regularisation=0).losses(1, {})
        start = EPS * (2.0 * torch.randint(0, 2, (64, 3, 16, 16), generator=seeded()) - 1)
        for images, labels in batches:
            reference = copy.deepcopy(network)
            variable = start.clone().requires_grad_()
            functional.cross_entropy(reference(images + variable), labels).backward()
            attacked = (start + EPS * variable.grad.sign()).clamp(-EPS, EPS)
            start = (images + attacked).clamp(0, 1) - images
            expected = functional.cross_entropy(reference(images + start), labels)
            loss = loss_of(network, images, labels, None, given)
            assert loss.item() == pytest.approx(expected.item(), rel=1e-4)

    def test_starts_at_random_corners(self, fresh_network: nn.Module, batch: Batch) -> None:
        seen = trained_on(fresh_network)
        paradigm("tdat").loss(fresh_network.train(), *batch, None, seeded())
        corners = seen[0] - batch[0]
        assert ((corners.abs() - EPS).abs() < 1e-6).all()
        assert abs(corners.sign().sum()) < 4 * corners.numel() ** 0.5

    @pytest.mark.parametrize("momentum", ["official", "intended"])
    def test_perturbations_keep_the_budget_and_images_the_pixel_range(
        self, momentum: str, fresh_network: nn.Module, batches: list[Batch]
    ) -> None:
        (loss_of,) = paradigm("tdat", momentum=momentum).losses(1, {})
        seen, given = trained_on(fresh_network), seeded()
        for images, labels in batches:
            loss_of(fresh_network.train(), images, labels, None, given)
            before, after = seen[-2:]
            assert (before - images).abs().max() <= EPS + 1e-6
            assert (after - images).abs().max() <= EPS + 1e-6
            assert (after - images).abs().mean() > EPS / 4
            assert after.min() >= 0
            assert after.max() <= 1

    def test_perturbations_stay_with_places_in_the_batch(self, fresh_network: nn.Module, batches: list[Batch]) -> None:
        """The next batch starts from this one's perturbations in their order, though the images are others."""
        (loss_of,) = paradigm("tdat").losses(1, {})
        seen, given = trained_on(fresh_network), seeded()
        for images, labels in batches[:2]:
            loss_of(fresh_network.train(), images, labels, None, given)
        left, found = seen[1] - batches[0][0], seen[2] - batches[1][0]
        torch.testing.assert_close(found, left, atol=1e-6, rtol=0)
        assert (found - left.roll(1, dims=0)).abs().max() > EPS / 2

    def test_trainings_at_the_same_time_carry_perturbations_of_their_own(
        self, fresh_network: nn.Module, batches: list[Batch]
    ) -> None:
        shared = paradigm("tdat")
        alone, first, second = (
            [next(iter(shared.losses(1, {}))), copy.deepcopy(fresh_network), seeded(0)] for _ in range(3)
        )
        second[2].manual_seed(1)
        expected = [alone[0](alone[1], *batch, None, alone[2]).item() for batch in batches]
        found = []
        for batch in batches:
            found.append(first[0](first[1], *batch, None, first[2]).item())
            second[0](second[1], *batch, None, second[2])
        assert found == expected

    def test_both_passes_move_the_running_statistics(self, fresh_network: nn.Module, batch: Batch) -> None:
        expected, seen = copy.deepcopy(fresh_network), trained_on(fresh_network)
        paradigm("tdat").loss(fresh_network.train(), *batch, None, seeded())
        assert len(seen) == 2
        for images in seen:
            expected.train()(images)
        assert_same_statistics(fresh_network, expected)
