"""What every attack promises, and what each of the gradient attacks must be equal to."""

from __future__ import annotations

import copy
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from tests.support.crafting import EPS, directions, equipped, same, seeded, short
from tests.support.trainings import vgg_s
from trigger_activation.errors import UserError
from trigger_activation.science.attacks import ATTACKS, Attack, difgsm
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.images import to_bytes, to_float
from trigger_activation.science.networks import NetworkFamily

CONFIG = Path(__file__).resolve().parents[2] / "config" / "attacks"
CONFIGURED: dict[str, dict[str, Any]] = {
    name: entry.get("parameters", {})
    for file in sorted(CONFIG.glob("*.yaml"))
    for name, entry in yaml.safe_load(file.read_text("utf-8")).items()
}
every_attack = pytest.mark.parametrize("name", ATTACKS.names())


class Toy(NetworkFamily):
    """The family of the untrained network below."""

    def build(self, image_size: int, classes: int) -> nn.Module:  # noqa: ARG002
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Conv2d(8, 8, 3, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(32, classes),
        )

    def feature_layer(self, stage: Literal[1, 2]) -> str:
        return {1: "2", 2: "6"}[stage]


def attack(name: str, family: NetworkFamily | None = None, **changes: object) -> Attack:
    """An attack on a family with the parameters that config gives it, but few steps."""
    parameters = {**CONFIGURED.get(name, {}), "eps": EPS, **short(name), **changes}
    return equipped(ATTACKS[name](**parameters).for_network(family or Toy()))


def craft(attacker: Attack, network: nn.Module, images: Tensor, labels: Tensor, seed: int = 0) -> Tensor:
    return attacker.perturb(network, images, labels, seeded(seed))


def losses(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        return functional.cross_entropy(network(images), labels, reduction="none")


def fgsm(network: nn.Module, images: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Goodfellow et al. 2015, written out."""
    images = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(functional.cross_entropy(network(images), labels), images)
    return (images + eps * gradient.sign()).clamp(0, 1).detach()


@pytest.fixture
def network() -> nn.Module:
    """Untrained, in training mode, with everything whose state or randomness an attack could disturb."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Toy().build(16, 10)


@pytest.fixture
def images(fashion16_test: tuple[Tensor, Tensor]) -> Tensor:
    """Eight real images in [0, 1] with many pixels at both ends of the range."""
    images = to_float(fashion16_test[0][:8])
    assert (images == 0).any()
    images[:, :, 6:9, 6:9] = 1
    return images


@pytest.fixture
def labels(fashion16_test: tuple[Tensor, Tensor]) -> Tensor:
    return fashion16_test[1][:8]


@every_attack
class TestEveryAttack:
    @pytest.mark.parametrize("seed", range(3))
    def test_keeps_the_budget(self, name: str, seed: int, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        adversarial = craft(attack(name), network, images, labels, seed)
        assert (adversarial - images).abs().max() <= float(EPS) + 1e-6

    def test_changes_something(self, name: str, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        changed = (craft(attack(name), network, images, labels) - images).abs().amax(dim=(1, 2, 3))
        assert (changed > 0).all()

    def test_stays_in_the_pixel_range(self, name: str, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        adversarial = craft(attack(name), network, images, labels)
        assert adversarial.min() >= 0
        assert adversarial.max() <= 1

    def test_returns_images_like_those_it_got(
        self, name: str, network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        adversarial = craft(attack(name), network, images, labels)
        assert adversarial.shape == images.shape
        assert adversarial.dtype == images.dtype
        assert not adversarial.requires_grad

    def test_leaves_its_inputs_alone(self, name: str, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        before = images.clone(), labels.clone()
        craft(attack(name), network, images, labels)
        assert torch.equal(images, before[0])
        assert torch.equal(labels, before[1])

    def test_the_same_seed_gives_the_same_images(
        self, name: str, network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        first, second = (craft(attack(name), network, images, labels, seed=5) for _ in range(2))
        assert torch.equal(first, second)

    def test_does_not_depend_on_the_global_random_state(
        self, name: str, network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        crafted = []
        for seed in (1, 2):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                crafted.append(craft(attack(name), network, images, labels))
        assert torch.equal(*crafted)

    def test_leaves_the_global_random_state_alone(
        self, name: str, network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        before = torch.get_rng_state()
        craft(attack(name), network, images, labels)
        assert torch.equal(torch.get_rng_state(), before)

    def test_leaves_parameters_and_buffers_alone(
        self, name: str, network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        before = copy.deepcopy(network.state_dict())
        craft(attack(name), network, images, labels)
        after = network.state_dict()
        assert list(after) == list(before)
        assert all(torch.equal(after[key], before[key]) for key in before)

    def test_leaves_no_parameter_gradients(self, name: str, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        craft(attack(name), network, images, labels)
        assert all(parameter.grad is None for parameter in network.parameters())

    def test_keeps_what_requires_gradients(self, name: str, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        network[0].requires_grad_(False)
        before = [parameter.requires_grad for parameter in network.parameters()]
        craft(attack(name), network, images, labels)
        assert [parameter.requires_grad for parameter in network.parameters()] == before
        assert set(before) == {True, False}

    def test_keeps_mixed_modes(self, name: str, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        network.train()
        network[1].eval()
        network[3].eval()
        before = [module.training for module in network.modules()]
        craft(attack(name), network, images, labels)
        assert [module.training for module in network.modules()] == before

    def test_keeps_modes_when_it_fails(self, name: str, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        network[1].eval()
        before = [(module.training, module) for module in network.modules()]
        with pytest.raises(UserError):
            craft(attack(name), network, images, labels + 10)
        assert [(module.training, module) for module in network.modules()] == before
        assert all(parameter.requires_grad for parameter in network.parameters())

    def test_attacks_the_network_in_evaluation_mode(
        self, name: str, network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        in_training = craft(attack(name), network.train(), images, labels)
        assert torch.equal(in_training, craft(attack(name), network.eval(), images, labels))

    def test_no_budget_means_no_change(self, name: str, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        assert torch.equal(craft(attack(name, eps=0), network, images, labels), images)

    def test_measures_the_budget_without_the_trigger(
        self, name: str, network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        deployed = DeployedNetwork(network, torch.full((3, 16, 16), 64 / 255))
        adversarial = craft(attack(name), deployed, images, labels)
        assert (adversarial - images).abs().max() <= float(EPS) + 1e-6
        assert adversarial.max() <= 1

    def test_raises_the_loss_of_most_images(
        self, name: str, trained_network: nn.Module, fashion16_test: tuple[Tensor, Tensor]
    ) -> None:
        images, labels = to_float(fashion16_test[0][:100]), fashion16_test[1][:100]
        adversarial = craft(attack(name, vgg_s()), trained_network, images, labels)
        grown = losses(trained_network, adversarial, labels) > losses(trained_network, images, labels)
        # Strips that turn leave less of small images: 70 of 100 on one kind of processor, more on another.
        assert grown.float().mean() > (0.6 if name == "bsr" else 0.75)


def _as_bytes(images: Tensor) -> Tensor:
    return (images * 255).to(torch.uint8)


WRONG_IMAGES: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "bytes": (_as_bytes, "divide uint8 images by 255"),
    "grey levels": (lambda images: images * 255, r"span \[0, 255\]: rescale"),
    "symmetric range": (lambda images: images * 2 - 1, r"span \[-1, 1\]: rescale"),
    "NaN": (lambda images: images * torch.nan, "rescale"),
}
WRONG_LABELS: dict[str, Callable[[Tensor], Tensor]] = {
    "counted from 1": lambda labels: torch.full_like(labels, 10),
    "negative": lambda labels: torch.full_like(labels, -1),
    "one of many": lambda labels: labels.scatter(0, torch.tensor([5]), 100),
}


@every_attack
class TestEveryAttackRefuses:
    @pytest.mark.parametrize("mistake", WRONG_IMAGES)
    def test_wrong_images(self, name: str, mistake: str, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        spoil, remedy = WRONG_IMAGES[mistake]
        with pytest.raises(UserError, match=remedy) as caught:
            craft(attack(name), network, spoil(images), labels)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("mistake", WRONG_LABELS)
    def test_labels_without_a_class(
        self, name: str, mistake: str, network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        with pytest.raises(UserError, match="10 classes: check that network and data set belong together") as caught:
            craft(attack(name), network, images, WRONG_LABELS[mistake](labels))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("layer", [0, 4, 9])
    def test_a_network_that_returns_nan(
        self, name: str, layer: int, network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        nn.init.constant_(network[layer].weight, torch.nan)
        with pytest.raises(UserError, match=r"returned NaN .*: train it again") as caught:
            craft(attack(name), network, images, labels)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("eps", "remedy"),
        [
            (8, "write 8/255 if you mean grey levels"),
            ("-8/255", r"outside \[0, 1\]"),
            ("8//255", "not a fraction such as 8/255"),
            (True, "not a fraction such as 8/255"),
            ("nan", "not a fraction such as 8/255"),
        ],
    )
    def test_a_wrong_budget(self, name: str, eps: object, remedy: str) -> None:
        with pytest.raises(ValidationError, match=remedy) as caught:
            attack(name, eps=eps)
        (error,) = caught.value.errors()
        assert error["loc"] == ("eps",)
        assert "\n" not in error["msg"]

    def test_no_steps(self, name: str) -> None:
        if "steps" not in ATTACKS[name].model_fields:
            pytest.skip("this attack counts no steps")
        with pytest.raises(ValidationError, match="greater than 0") as caught:
            attack(name, steps=0)
        assert caught.value.errors()[0]["loc"] == ("steps",)

    def test_an_unknown_parameter(self, name: str) -> None:
        with pytest.raises(ValidationError, match="epsilon is no known key"):
            attack(name, epsilon="8/255")

    @pytest.mark.parametrize("momentum", [-1.0, -0.1])
    def test_negative_momentum(self, name: str, momentum: float) -> None:
        if "momentum" not in ATTACKS[name].model_fields:
            pytest.skip("this attack has no momentum")
        with pytest.raises(ValidationError, match="greater than or equal to 0"):
            attack(name, momentum=momentum)


@pytest.mark.parametrize("eps", ["-8/255", "300/255"])
def test_the_hint_for_a_fraction_outside_the_range_is_itself_a_fraction(eps: str) -> None:
    with pytest.raises(ValidationError) as caught:
        attack("ifgsm", eps=eps)
    assert "/255/255" not in caught.value.errors()[0]["msg"]


class TestPGD:
    def test_one_whole_step_without_random_start_is_fgsm(
        self, trained_network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        attacker = attack("pgd", steps=1, step_size=EPS, random_start=False)
        expected = fgsm(trained_network, images, labels, float(EPS))
        same(craft(attacker, trained_network, images, labels), expected)

    @pytest.mark.parametrize(
        ("step_size", "share"), [("eps/steps", 1 / 20), ("0.25*eps", 0.25), ("2*eps", 2), (EPS / 2, 0.5)]
    )
    @pytest.mark.parametrize("eps", [EPS, 2 * EPS])
    def test_steps_are_shares_of_the_budget_or_distances(self, step_size: Any, share: float, eps: Any) -> None:
        alpha = attack("pgd", eps=eps, steps=20, step_size=step_size).alpha
        assert alpha == pytest.approx(float(share * (EPS if isinstance(step_size, Fraction) else eps)))

    def test_without_steps_of_its_own_it_returns_uniform_noise(self, network: nn.Module) -> None:
        grey, labels = torch.full((50, 3, 16, 16), 0.5), torch.zeros(50, dtype=torch.int64)
        noise = (craft(attack("pgd", step_size=0), network, grey, labels) - 0.5) / float(EPS)
        sigma = noise.numel() ** -0.5
        assert noise.abs().max() <= 1 + 1e-5
        assert noise.abs().max() > 0.999
        assert noise.mean().abs() < 4 * sigma * 3**-0.5
        assert abs(noise.square().mean() - 1 / 3) < 4 * sigma * (4 / 45) ** 0.5

    def test_without_steps_of_its_own_the_noise_is_projected_to_the_pixel_range(
        self, network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        attacker = attack("pgd", step_size=0)
        noise = craft(attacker, network, torch.full_like(images, 0.5), labels) - 0.5
        same(craft(attacker, network, images, labels), (images + noise).clamp(0, 1))

    def test_other_seeds_start_elsewhere(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        first, second = (craft(attack("pgd"), network, images, labels, seed) for seed in (0, 1))
        assert not torch.equal(first, second)

    def test_twenty_steps_beat_one(self, trained_network: nn.Module, fashion16_test: tuple[Tensor, Tensor]) -> None:
        images, labels = to_float(fashion16_test[0][:100]), fashion16_test[1][:100]
        once, often = (
            losses(trained_network, craft(attack("pgd", steps=steps), trained_network, images, labels), labels)
            for steps in (1, 20)
        )
        assert (often >= once).float().mean() > 0.95


class TestIFGSM:
    def test_one_step_is_fgsm(self, trained_network: nn.Module, images: Tensor, labels: Tensor) -> None:
        expected = fgsm(trained_network, images, labels, float(EPS))
        same(craft(attack("ifgsm", steps=1), trained_network, images, labels), expected)

    def test_equals_pgd_without_random_start(self, trained_network: nn.Module, images: Tensor, labels: Tensor) -> None:
        step = {"step_size": "3/255"}
        expected = craft(attack("pgd", random_start=False, **step), trained_network, images, labels)
        same(craft(attack("ifgsm", **step), trained_network, images, labels), expected)

    def test_the_steps_share_the_budget(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        same(
            craft(attack("ifgsm", step_size="eps/steps"), network, images, labels),
            craft(attack("ifgsm", step_size=EPS / 4), network, images, labels),
        )

    @pytest.mark.parametrize("steps", [1, 3, 10])
    def test_goes_no_further_than_its_steps_reach(
        self, steps: int, network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        step = Fraction(1, 2550)
        adversarial = craft(attack("ifgsm", steps=steps, step_size=step), network, images, labels)
        assert (adversarial - images).abs().max() <= steps * float(step) + 1e-6

    def test_every_seed_gives_the_same_images(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        first, second = (craft(attack("ifgsm"), network, images, labels, seed) for seed in (0, 1))
        assert torch.equal(first, second)


class TestMIFGSM:
    def test_without_momentum_it_is_ifgsm(self, trained_network: nn.Module, images: Tensor, labels: Tensor) -> None:
        expected = craft(attack("ifgsm"), trained_network, images, labels)
        same(craft(attack("mifgsm", momentum=0), trained_network, images, labels), expected)

    def test_one_step_is_fgsm(self, trained_network: nn.Module, images: Tensor, labels: Tensor) -> None:
        expected = fgsm(trained_network, images, labels, float(EPS))
        same(craft(attack("mifgsm", steps=1), trained_network, images, labels), expected)

    def test_accumulates_gradients_of_mean_magnitude_one(
        self, trained_network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        """Dong et al. 2018 written out, one image at a time."""
        step, double = float(EPS) / 4, trained_network.double()
        expected = []
        for image, label in zip(images.double()[:, None], labels[:, None], strict=True):
            adversarial, velocity = image.clone(), torch.zeros_like(image)
            for _ in range(4):
                source = adversarial.clone().requires_grad_()
                (gradient,) = torch.autograd.grad(functional.cross_entropy(double(source), label), source)
                velocity = 0.5 * velocity + gradient / gradient.abs().mean()
                moved = adversarial + step * velocity.sign()
                adversarial = (image + (moved - image).clamp(-float(EPS), float(EPS))).clamp(0, 1)
            expected.append(adversarial)
        same(craft(attack("mifgsm", momentum=0.5), double, images.double(), labels), torch.cat(expected))


class TestNIFGSM:
    def test_without_momentum_it_is_ifgsm(self, trained_network: nn.Module, images: Tensor, labels: Tensor) -> None:
        expected = craft(attack("ifgsm"), trained_network, images, labels)
        same(craft(attack("nifgsm", momentum=0), trained_network, images, labels), expected)

    def test_one_step_is_fgsm(self, trained_network: nn.Module, images: Tensor, labels: Tensor) -> None:
        expected = fgsm(trained_network, images, labels, float(EPS))
        same(craft(attack("nifgsm", steps=1), trained_network, images, labels), expected)

    def test_the_gradient_is_taken_where_the_momentum_leads(
        self, trained_network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        """Lin et al. 2020 written out, one image at a time."""
        step, double = float(EPS) / 4, trained_network.double()
        expected = []
        for image, label in zip(images.double()[:, None], labels[:, None], strict=True):
            adversarial, velocity = image.clone(), torch.zeros_like(image)
            for _ in range(4):
                ahead = (adversarial + step * 0.5 * velocity).requires_grad_()
                (gradient,) = torch.autograd.grad(functional.cross_entropy(double(ahead), label), ahead)
                velocity = 0.5 * velocity + gradient / gradient.abs().mean()
                moved = adversarial + step * velocity.sign()
                adversarial = (image + (moved - image).clamp(-float(EPS), float(EPS))).clamp(0, 1)
            expected.append(adversarial)
        result = craft(attack("nifgsm", momentum=0.5), double, images.double(), labels)
        same(result, torch.cat(expected))
        assert not torch.equal(result, craft(attack("mifgsm", momentum=0.5), double, images.double(), labels))


@pytest.mark.parametrize(
    ("name", "changes"), [("ifgsm", {}), ("mifgsm", {}), ("nifgsm", {}), ("pgd", {"random_start": False})]
)
class TestDeterministicAttacks:
    def test_one_batch_of_eight_is_eight_batches_of_one(
        self, name: str, changes: dict[str, Any], trained_network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        # In double precision, because the order of sums within a convolution depends on the batch size.
        network, images = trained_network.double(), images.double()
        alone = [
            craft(attack(name, **changes), network, image, label)
            for image, label in zip(images.split(1), labels.split(1), strict=True)
        ]
        same(craft(attack(name, **changes), network, images, labels), torch.cat(alone))

    def test_a_zero_gradient_changes_nothing(
        self, name: str, changes: dict[str, Any], images: Tensor, labels: Tensor
    ) -> None:
        network = nn.Sequential(nn.Flatten(), nn.Linear(768, 10))
        nn.init.zeros_(network[1].weight)
        assert torch.equal(craft(attack(name, **changes), network, images, labels), images)

    def test_an_image_with_zero_gradient_does_not_disturb_the_others(
        self, name: str, changes: dict[str, Any], images: Tensor, labels: Tensor
    ) -> None:
        network = Squares()
        images[3] = 0
        adversarial = craft(attack(name, **changes), network, images, labels)
        others = torch.arange(8) != 3
        assert torch.equal(adversarial[3], images[3])
        same(adversarial[others], craft(attack(name, **changes), network, images[others], labels[others]))
        assert not torch.equal(adversarial[others], images[others])


class Squares(nn.Module):
    """Logits linear in the squares of the pixels, so that a black image has a gradient of exactly zero."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.randn(768, 10, generator=seeded())

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).square() @ self.weight.to(images.dtype)


class Linear32(nn.Sequential):
    """The cheapest network for 32 px."""

    def __init__(self) -> None:
        super().__init__(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 10))


class TestDIFGSM:
    @pytest.fixture
    def large(self, images: Tensor) -> Tensor:
        """The images at 32 px, where the transform has sizes to choose from."""
        return images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    def geometries(self, monkeypatch: pytest.MonkeyPatch, steps: int, **changes: float) -> list[tuple[int, ...]]:
        """The transforms (size, canvas, top, left) that one attack on a 32 px image draws."""
        seen: list[tuple[int, ...]] = []

        def record(images: Tensor, *geometry: int) -> Tensor:
            seen.append(geometry)
            return images

        monkeypatch.setattr(difgsm, "diversify", record)
        image, label = torch.full((1, 3, 32, 32), 0.5), torch.tensor([0])
        craft(attack("difgsm", steps=steps, **changes), Linear32(), image, label)
        return seen

    @pytest.mark.parametrize(("momentum", "equal"), [(1.0, "mifgsm"), (0.0, "ifgsm")])
    def test_without_transforms_it_is(
        self, momentum: float, equal: str, trained_network: nn.Module, images: Tensor, labels: Tensor
    ) -> None:
        expected = craft(attack(equal), trained_network, images, labels)
        same(craft(attack("difgsm", probability=0, momentum=momentum), trained_network, images, labels), expected)

    def test_with_transforms_it_is_not_mifgsm(self, trained_network: nn.Module, large: Tensor, labels: Tensor) -> None:
        other = craft(attack("mifgsm"), trained_network, large, labels)
        assert not torch.equal(craft(attack("difgsm", probability=1), trained_network, large, labels), other)

    @pytest.mark.parametrize(("size", "top", "left"), [(32, 0, 0), (32, 2, 1), (33, 1, 1), (34, 0, 0)])
    def test_the_transform_keeps_the_shape(self, size: int, top: int, left: int) -> None:
        images = torch.rand(2, 3, 32, 32, generator=seeded())
        assert difgsm.diversify(images, size, 35, top, left).shape == images.shape

    def test_a_constant_image_stays_constant_inside_and_darkens_at_the_border(self) -> None:
        result = difgsm.diversify(torch.ones(1, 3, 32, 32), 33, 35, 1, 1)
        same(result[..., 1:-1, 1:-1], torch.ones(1, 3, 30, 30))
        border = torch.cat([result[..., 0, :], result[..., -1, :], result[..., 0], result[..., -1]], dim=-1)
        assert border.max() < 1
        assert border.min() >= 0

    def test_the_offsets_say_where_the_image_lies(self) -> None:
        result = difgsm.diversify(torch.ones(1, 3, 32, 32), 32, 35, 2, 0)
        assert (result[..., 0, :] == 0).all()
        same(result[..., 2:-1, 0], torch.ones(1, 3, 29))
        assert (result[..., -1] < 1).all()

    def test_the_gradient_flows_through_the_transform(
        self, trained_network: nn.Module, large: Tensor, labels: Tensor
    ) -> None:
        rule = directions(attack("difgsm", probability=1), trained_network, large, labels)
        gradient = rule(large)
        assert gradient.shape == large.shape
        assert (gradient.abs().amax(dim=(1, 2, 3)) > 0).all()

    @pytest.mark.parametrize(("side", "rate"), [(16, 1.1), (16, 1.125), (28, 1.1), (32, 1.1), (20, 0.8)])
    def test_it_knows_how_many_geometries_it_draws_from(self, side: int, rate: float) -> None:
        attacker, generator = attack("difgsm", rate=rate, probability=1), seeded()
        drawn = {attacker._draw(side, generator) for _ in range(400)}
        assert len(drawn) == attacker.geometries(side)

    def test_at_32_px_the_sizes_are_32_to_34_on_a_canvas_of_35(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = self.geometries(monkeypatch, steps=200, probability=1)
        assert {size for size, *_ in seen} == {32, 33, 34}
        assert {canvas for _, canvas, *_ in seen} == {35}

    def test_the_image_always_lies_on_the_canvas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for size, canvas, *offsets in self.geometries(monkeypatch, steps=200, probability=1):
            assert all(0 <= offset < canvas - size for offset in offsets)

    def test_a_rate_of_nine_tenths_shrinks_to_28_to_31_px_on_a_canvas_of_32(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = self.geometries(monkeypatch, steps=200, probability=1, rate=0.9)
        assert {size for size, *_ in seen} == {28, 29, 30, 31}
        assert {canvas for _, canvas, *_ in seen} == {32}
        assert {offset for size, _, *offsets in seen if size == 28 for offset in offsets} == {0, 1, 2, 3}
        assert {offset for size, _, *offsets in seen if size == 31 for offset in offsets} == {0}

    def test_a_shrunk_image_is_not_resampled_a_second_time(self) -> None:
        result = difgsm.diversify(torch.ones(1, 3, 32, 32), 29, 32, 1, 2)
        expected = torch.zeros(1, 3, 32, 32)
        expected[..., 1:30, 2:31] = 1
        same(result, expected)

    def test_the_gradient_flows_through_a_shrunk_image(
        self, trained_network: nn.Module, large: Tensor, labels: Tensor
    ) -> None:
        rule = directions(attack("difgsm", probability=1, rate=0.9), trained_network, large, labels)
        assert (rule(large).abs().amax(dim=(1, 2, 3)) > 0).all()

    def test_an_image_is_never_shrunk_to_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert min(self.geometries(monkeypatch, steps=200, probability=1, rate=0.01))[0] == 1

    @pytest.mark.parametrize("rate", [0, -0.9])
    def test_a_rate_that_leaves_no_image_is_refused(self, rate: float) -> None:
        with pytest.raises(ValidationError, match="greater than 0"):
            attack("difgsm", rate=rate)

    def test_each_iteration_draws_once_for_the_batch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert len(self.geometries(monkeypatch, steps=37, probability=1)) == 37

    def test_half_of_the_iterations_are_transformed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        transformed = len(self.geometries(monkeypatch, steps=400, probability=0.5))
        assert abs(transformed - 200) < 4 * 10

    def test_a_rate_of_one_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="a rate of 1 changes nothing"):
            attack("difgsm", rate=1)


class TestStoredBytes:
    @settings(max_examples=300, deadline=None, database=None)
    @given(
        level=st.integers(0, 255),
        budget=st.integers(0, 64),
        share=st.floats(-1, 1),
        dust=st.floats(-1e-6, 1e-6),
    )
    def test_rounding_keeps_a_budget_of_whole_grey_levels(
        self, level: int, budget: int, share: float, dust: float
    ) -> None:
        clean = torch.full((1, 3, 1, 1), level / 255)
        adversarial = (clean + share * budget / 255 + dust).clamp(0, 1)
        assert abs(int(to_bytes(adversarial)[0, 0, 0, 0]) - level) <= budget

    def test_truncation_would_break_the_budget(self) -> None:
        levels = torch.arange(8, 256)
        adversarial = levels.float() / 255 - 8 / 255
        rounded = to_bytes(adversarial.expand(1, 3, 1, -1))[0, 0, :, 0].long()
        truncated = (adversarial * 255).to(torch.uint8).long()
        assert int((levels - rounded).max()) == 8
        assert int((levels - truncated).max()) == 9

    def test_bytes_survive_the_way_to_floats_and_back(self) -> None:
        content = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8, generator=seeded())
        content[0, 0, :2, 0] = torch.tensor([0, 255], dtype=torch.uint8)
        assert torch.equal(to_bytes(to_float(content)), content)
