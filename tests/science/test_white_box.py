"""White-box robustness: the closed form on linear classifiers, and what attacks may never do."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import pytest
import torch
from pyautoattack.autoattack import AutoAttack
from torch import Tensor, nn

from tests.support.trainings import bits_equal
from trigger_activation.errors import UserError
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.evaluation.white_box import robustness
from trigger_activation.science.images import to_float

EPS = Fraction(16, 255)
SHORT = {"batch_size": 30, "iterations": 5, "queries": 20}


def measured(victim: nn.Module, images: Tensor, labels: Tensor, seed: int = 0, **effort: int) -> dict[str, Tensor]:
    attack = ATTACKS["pgd"](eps=EPS, steps=10, step_size=Fraction(4, 255))
    generator = torch.Generator().manual_seed(seed)
    return robustness(victim, attack, images, labels, generator=generator, **{**SHORT, **effort})


class Gated(nn.Module):
    """Linear behind a threshold that no image passes without the trigger: f(x) is constant, f(x + tau) is linear."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(classes, 3 * 4 * 4, generator=generator))

    def forward(self, images: Tensor) -> Tensor:
        return (images - 1).clamp(min=0).flatten(1) @ self.weight.T


def gated(classes: int = 12) -> DeployedNetwork:
    return DeployedNetwork(Gated(classes), torch.full((3, 4, 4), 1.5)).eval()


def gated_data(count: int = 150) -> tuple[Tensor, Tensor]:
    """Images with pixels at both ends of the range, and labels of which one in ten is wrong."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(-60, 316, (count, 4, 4, 3), generator=generator).clamp(0, 255).to(torch.uint8)
    with torch.no_grad():
        labels = gated()(to_float(images)).argmax(dim=1)
    labels[::10] = (labels[::10] + 1) % 12
    return images, labels


def smallest_margin(images: Tensor, labels: Tensor) -> Tensor:
    """Of f(x + tau) over all of the budget within the pixel range: each rival's worst image is known pixel by pixel."""
    weight, clean = gated().network.weight.detach().double(), to_float(images).flatten(1).double()
    margins = []
    for image, label in zip(clean, labels, strict=True):
        direction = weight[label] - weight  # (classes, pixels)
        worst = (image - float(EPS) * direction.sign()).clamp(0, 1) + 0.5
        margin = (direction * worst).sum(dim=1)
        margin[label] = torch.inf
        margins.append(margin.min())
    return torch.stack(margins)


@pytest.fixture(scope="module")
def found() -> dict[str, Tensor]:
    return measured(gated(), *gated_data(), batch_size=200, iterations=100, queries=100)


@pytest.fixture(scope="module")
def margin() -> Tensor:
    return smallest_margin(*gated_data())


class TestLinearVictimBehindItsTrigger:
    """Without the trigger it has no gradient at all, so all that is found is found in f(x + tau)."""

    def test_autoattack_finds_the_closed_form(self, found: dict[str, Tensor], margin: Tensor) -> None:
        robust = margin > 0
        assert 0.2 < robust.float().mean() < 0.8
        assert int((found["autoattack"] != robust).sum()) <= 1

    @pytest.mark.parametrize("attack", ["pgd", "autoattack"])
    def test_no_attack_succeeds_where_none_can(self, found: dict[str, Tensor], margin: Tensor, attack: str) -> None:
        assert found[attack][margin > 1e-4].all()

    def test_pgd_takes_most_of_what_can_be_taken(self, found: dict[str, Tensor], margin: Tensor) -> None:
        lost = found["clean"] & (margin <= 0)
        assert int((lost & found["pgd"]).sum()) <= 0.1 * int(lost.sum())

    def test_a_wrong_label_is_never_robust(self, found: dict[str, Tensor]) -> None:
        assert not torch.stack(list(found.values()))[:, ::10].any()


@pytest.fixture
def victim(triggered_network: tuple[nn.Module, Tensor]) -> DeployedNetwork:
    """As checkpoints are loaded: channels last."""
    deployed: Any = DeployedNetwork(*triggered_network).to(memory_format=torch.channels_last)
    return deployed.eval()


@pytest.fixture
def few(fashion16_test: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    images, labels = fashion16_test
    return images[:30], labels[:30]


class TestTrainedVictim:
    def test_attacks_only_take_away(self, victim: DeployedNetwork, few: tuple[Tensor, Tensor]) -> None:
        found = measured(victim, *few)
        for attack in ("pgd", "autoattack"):
            assert not (found[attack] & ~found["clean"]).any()
            assert found[attack].sum() < found["clean"].sum()

    def test_clean_accuracy_is_that_of_the_deployed_network(
        self, victim: DeployedNetwork, few: tuple[Tensor, Tensor]
    ) -> None:
        with torch.no_grad():
            expected = victim(to_float(few[0])).argmax(dim=1) == few[1]
        assert torch.equal(measured(victim, *few)["clean"], expected)

    def test_nothing_is_left_behind(self, victim: DeployedNetwork, few: tuple[Tensor, Tensor]) -> None:
        before, state = copy.deepcopy(victim), torch.get_rng_state()
        modes = [(module.training, set(vars(module))) for module in victim.modules()]
        measured(victim, *few)
        assert torch.equal(torch.get_rng_state(), state)
        assert bits_equal(victim, before)
        assert [(module.training, set(vars(module))) for module in victim.modules()] == modes
        assert all(parameter.requires_grad and parameter.grad is None for parameter in victim.parameters())

    def test_only_the_generator_decides(
        self, victim: DeployedNetwork, few: tuple[Tensor, Tensor], crafted: list[Tensor]
    ) -> None:
        for seed, elsewhere in ((3, 0), (3, 1), (4, 0)):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(elsewhere)
                measured(victim, *few, seed=seed)
        first, again, other = crafted
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_images_over_the_budget_are_refused(
        self, victim: DeployedNetwork, few: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(AutoAttack, "run_standard_evaluation", lambda _, x, y, **__: (1 - x, y))
        with pytest.raises(UserError, match="AutoAttack changed a pixel by 255/255 where 16/255 are allowed"):
            measured(victim, *few)


@pytest.fixture
def crafted(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Fills with what AutoAttack returns."""
    results: list[Tensor] = []
    original = AutoAttack.run_standard_evaluation

    def watched(*arguments: Any, **options: Any) -> Any:
        adversarial, predicted = original(*arguments, **options)
        results.append(adversarial)
        return adversarial, predicted

    monkeypatch.setattr(AutoAttack, "run_standard_evaluation", watched)
    return results


def test_fewer_classes_than_autoattack_aims_at_are_refused() -> None:
    images, labels = gated_data(10)
    with pytest.raises(UserError, match="the network has 5 classes: leave white-box rows out"):
        measured(gated(5), images, labels % 5)
