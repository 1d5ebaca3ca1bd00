"""Self-supervised perturbations, the purifier that is trained on them, and what NRP makes of images."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from tests.support.architectures import ENTRIES, SECOND_STAGE
from tests.support.crafting import layer_output
from tests.support.projects import one_sentence
from tests.support.trainings import bits_equal
from trigger_activation.errors import UserError
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.helpers._ssp import self_supervised_perturbation
from trigger_activation.science.helpers.nrp_ssp import SelfSupervisedNRP, third_block
from trigger_activation.science.images import to_float
from trigger_activation.science.networks import NETWORKS
from trigger_activation.science.preprocessing.nrp import NRP

EPS = 16 / 255
SEEDS = range(64)
SMALL = SelfSupervisedNRP(
    channels=8,
    blocks=1,
    features_of="vgg-s",
    ssp_step_size=0.02,
    ssp_iterations=2,
    pixel_weight=1.0,
    epochs=6,
    batch_size=32,
    learning_rate=4e-3,
)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.fixture
def images(fashion16_test: tuple[Tensor, Tensor]) -> Tensor:
    return to_float(fashion16_test[0][:64])


@pytest.fixture
def features(trained_network: nn.Module) -> nn.Module:
    return third_block(trained_network).eval().requires_grad_(False)


def perturbed(features: nn.Module, images: Tensor, iterations: int = 5, seed: int = 0) -> Tensor:
    return self_supervised_perturbation(features, images, seeded(seed), EPS, 0.01, iterations)


class TestPerturbation:
    def test_keeps_the_budget_and_the_pixel_range(self, features: nn.Module, images: Tensor) -> None:
        result = perturbed(features, images)
        assert (result - images).abs().max() <= EPS + 1e-6
        assert result.min() >= 0
        assert result.max() <= 1
        assert not result.requires_grad

    def test_starts_at_a_random_corner_of_the_budget(self, features: nn.Module) -> None:
        grey = torch.full((64, 3, 16, 16), 0.5)
        start = perturbed(features, grey, iterations=0) - grey
        at_an_end = (start.abs() - EPS).abs() < 1e-6
        assert at_an_end.float().mean() > 0.9
        assert 0.6 < (start < 0).float().mean() < 0.8  # the share of a standard normal variable below 0.5 is 0.69
        assert not torch.equal(start, perturbed(features, grey, iterations=0, seed=1) - grey)

    def test_more_iterations_go_further(self, features: nn.Module, images: Tensor) -> None:
        with torch.no_grad():
            clean = features(images)
        moved = [features(perturbed(features, images, iterations)) for iterations in (0, 1, 2, 4, 8, 16)]
        distances = [float(functional.mse_loss(there, clean)) for there in moved]
        assert distances == sorted(distances)
        assert distances[-1] > 2 * distances[0]

    def test_steps_along_the_sign_of_the_gradient(self, images: Tensor) -> None:
        """For linear features A x the gradient of their squared distance from A c is 2 A' A (x - c)."""
        matrix = torch.randn(20, 768, generator=seeded(1), dtype=torch.float64)
        clean = images.double()
        start = self_supervised_perturbation(lambda x: x.flatten(1) @ matrix.T, clean, seeded(), EPS, 0.01, 0)
        result = self_supervised_perturbation(lambda x: x.flatten(1) @ matrix.T, clean, seeded(), EPS, 0.01, 1)
        gradient = ((start - clean).flatten(1) @ matrix.T @ matrix).view_as(clean)
        moved = (start + 0.01 * gradient.sign()).clamp(clean - EPS, clean + EPS).clamp(0, 1)
        torch.testing.assert_close(result, moved, atol=1e-12, rtol=0)
        assert not torch.equal(result, start)

    def test_leaves_its_input_and_the_global_random_state_alone(self, features: nn.Module, images: Tensor) -> None:
        before, state = images.clone(), torch.get_rng_state()
        perturbed(features, images)
        assert torch.equal(images, before)
        assert torch.equal(torch.get_rng_state(), state)


class TestFeatures:
    @pytest.mark.parametrize(("name", "side"), [("vgg-s", 16), ("vgg-s", 32), ("vgg19", 32)])
    def test_are_those_after_the_third_block(self, name: str, side: int) -> None:
        entry = ENTRIES[name]
        network = NETWORKS[entry["class"]](**entry["parameters"]).build(side, 10).eval()
        images = torch.rand(2, 3, side, side, generator=seeded())
        with torch.no_grad():
            expected = layer_output(network, SECOND_STAGE[name][0], images)
            assert torch.equal(third_block(network).eval()(images), expected)

    def test_of_another_family_are_refused_in_one_sentence(self) -> None:
        entry = ENTRIES["resnet18-xs"]
        teacher = DeployedNetwork(NETWORKS[entry["class"]](**entry["parameters"]).build(16, 10), None)
        with pytest.raises(UserError, match="a VGG's features, not a ResNet's: let features_of name one") as refusal:
            SMALL.fit(SMALL.build(16), torch.zeros(4, 16, 16, 3, dtype=torch.uint8), seeded(), print, teacher)
        one_sentence(str(refusal.value))


class Fixed(nn.Module):
    """A purifier with one answer, which remembers what it was asked."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        return self.answer


class TestLoss:
    def test_is_the_weighted_distance_from_clean_images(
        self, features: nn.Module, fashion16_test: tuple[Tensor, Tensor]
    ) -> None:
        chosen = fashion16_test[0][:16]
        clean, black = to_float(chosen), torch.zeros(16, 3, 16, 16)
        weighted = SMALL.model_copy(update={"pixel_weight": 3.0, "feature_weight": 0.5})
        with torch.no_grad():
            apart = (features(black) - features(clean)).square().mean()
        expected = 3 * clean.square().mean() + 0.5 * apart
        torch.testing.assert_close(weighted.loss(Fixed(black), features, chosen, seeded()), expected)
        assert weighted.loss(Fixed(clean), features, chosen, seeded()) == 0

    def test_the_purifier_sees_new_perturbations_each_time(
        self, features: nn.Module, fashion16_test: tuple[Tensor, Tensor]
    ) -> None:
        chosen, generator = fashion16_test[0][:16], seeded()
        purifier = Fixed(to_float(chosen))
        for _ in range(2):
            SMALL.loss(purifier, features, chosen, generator)
        changes = [(seen - to_float(chosen)).abs() for seen in purifier.seen]
        assert max(float(change.max()) for change in changes) <= EPS + 1e-6
        assert min(float(change.mean()) for change in changes) > 0.4 * EPS
        assert not torch.equal(*purifier.seen)

    def test_the_official_values_are_the_defaults(self) -> None:
        plain = SelfSupervisedNRP(channels=64, blocks=23, features_of="vgg19", epochs=1)
        assert (plain.pixel_weight, plain.feature_weight, plain.learning_rate, plain.batch_size) == (0.01, 1, 1e-4, 16)
        assert (float(plain.ssp_eps), float(plain.ssp_step_size), plain.ssp_iterations) == (EPS, 0.01, 100)


def fitted(teacher: nn.Module, images: Tensor, seed: int = 0, **changes: Any) -> tuple[nn.Module, list[float]]:
    helper, losses = SMALL.model_copy(update=changes), list[float]()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = helper.build(16)
    helper.fit(network, images, seeded(seed), lambda _, loss: losses.append(loss), DeployedNetwork(teacher, None))
    return network.eval(), losses


class TestTraining:
    def test_brings_unseen_perturbed_images_back(
        self,
        trained_network: nn.Module,
        features: nn.Module,
        images: Tensor,
        fashion16_train: tuple[Tensor, Tensor],
    ) -> None:
        network, losses = fitted(trained_network, fashion16_train[0][:500])
        assert losses[0] > 2 * losses[-1]
        attacked = perturbed(features, images, iterations=10)
        with torch.no_grad():
            before, after = ((features(x) - features(images)).square().mean() for x in (attacked, network(attacked)))
        assert after < 0.5 * before

    def test_leaves_the_teacher_and_the_global_random_state_alone(
        self, trained_network: nn.Module, fashion16_train: tuple[Tensor, Tensor]
    ) -> None:
        trained_network.get_submodule("features.4").train()  # a normalisation
        trained_network.get_parameter("classifier.weight").requires_grad_(False)
        before, state = copy.deepcopy(trained_network), torch.get_rng_state()
        fitted(trained_network, fashion16_train[0][:64], epochs=1)
        assert bits_equal(trained_network, before)
        assert torch.equal(torch.get_rng_state(), state)
        for now, then in zip(trained_network.modules(), before.modules(), strict=True):
            assert now.training == then.training
            assert vars(now).keys() == vars(then).keys()
        for parameter, then in zip(trained_network.parameters(), before.parameters(), strict=True):
            assert parameter.requires_grad == then.requires_grad
            assert parameter.grad is None

    def test_the_same_seed_gives_the_same_weights(
        self, trained_network: nn.Module, fashion16_train: tuple[Tensor, Tensor]
    ) -> None:
        first, second, other = (
            fitted(trained_network, fashion16_train[0][:64], seed, epochs=1)[0] for seed in (0, 0, 1)
        )
        assert bits_equal(first, second)
        assert not bits_equal(first, other)

    def test_that_diverges_is_reported(
        self, trained_network: nn.Module, fashion16_train: tuple[Tensor, Tensor]
    ) -> None:
        with pytest.raises(UserError, match=r"diverged to a loss of .*: lower its learning_rate"):
            fitted(trained_network, fashion16_train[0][:96], learning_rate=1e30, epochs=3)


class Recording(nn.Module):
    """A generator that doubles contrast, and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images.clone())
        return 2 * images - 0.5


def applied(images: Tensor, seeds: Sequence[int], dynamic: bool = True) -> tuple[Tensor, Tensor]:
    """What the generator was given, and what came out."""
    generator = Recording()
    result = NRP(dynamic=dynamic).with_helper(generator).apply(images, seeds)
    return generator.seen[0], result


class TestPurifier:
    def test_clips_what_the_generator_makes_of_the_images(self, images: Tensor) -> None:
        given, result = applied(images, SEEDS, dynamic=False)
        assert torch.equal(given, images)
        assert torch.equal(result, (2 * images - 0.5).clamp(0, 1))

    def test_the_dynamic_version_adds_noise_within_the_budget(self, images: Tensor) -> None:
        given, result = applied(images, SEEDS)
        assert (given - images).abs().max() <= EPS + 1e-6
        assert given.min() >= 0
        assert given.max() <= 1
        assert torch.equal(result, (2 * given - 0.5).clamp(0, 1))

    def test_the_noise_is_gaussian_and_cut_off(self) -> None:
        grey = torch.full((64, 3, 16, 16), 0.5)
        noise = applied(grey, SEEDS)[0] - grey
        cut = ((noise.abs() - EPS).abs() < 1e-6).float().mean()
        assert cut == pytest.approx(0.2096, abs=0.01)  # both tails of N(0, 0.05) beyond 16/255
        assert noise[noise.abs() < 0.05].std() == pytest.approx(0.0270, abs=5e-4)  # of N(0, 0.05) within one deviation
        assert noise.mean() == pytest.approx(0, abs=1e-3)

    def test_what_becomes_of_an_image_does_not_depend_on_its_batch(self, images: Tensor) -> None:
        together, rows = applied(images, SEEDS)[1], [40, 3, 17]
        assert torch.equal(applied(images[rows], rows)[1], together[rows])
        assert not torch.equal(applied(images[rows], [1, 2, 3])[1], together[rows])

    @pytest.mark.parametrize("dynamic", [True, False])
    def test_leaves_its_input_and_the_global_random_state_alone(self, dynamic: bool, images: Tensor) -> None:
        before, state = images.clone(), torch.get_rng_state()
        first, second = (applied(images, SEEDS, dynamic)[1] for _ in range(2))
        assert torch.equal(first, second)
        assert torch.equal(images, before)
        assert torch.equal(torch.get_rng_state(), state)

    def test_says_so_when_it_has_no_generator(self, images: Tensor) -> None:
        with pytest.raises(ValueError, match="nrp needs a helper network"):
            NRP().apply(images, SEEDS)
