"""Attackers who know more than one surrogate: ensembles, the trigger, the preprocessing, or the victim's answers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.crafting import ascended, attack, close, craft, curved, random_batch, same, seeded
from tests.support.trainings import bits_equal, recipe, streams
from trigger_activation.errors import UserError
from trigger_activation.science._folding import foldable_pairs
from trigger_activation.science.attacks.engine import counting_passes, input_gradient
from trigger_activation.science.defended import DefendedNetwork
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.ensembles import Ensemble
from trigger_activation.science.evaluation.accuracy import predict_each
from trigger_activation.science.helpers.ddpm import DDPM
from trigger_activation.science.images import to_float
from trigger_activation.science.preprocessing import PREPROCESSING, Preprocessing
from trigger_activation.science.training.known_trigger import KnownTrigger
from trigger_activation.science.training.loop import train
from trigger_activation.science.training.paradigms import PARADIGMS


def triggered(count: int) -> list[DeployedNetwork]:
    """Copies of a network, each with a trigger of its own."""
    triggers = torch.rand(count, 3, 8, 8, generator=seeded(7), dtype=torch.float64) - 0.5
    return [DeployedNetwork(curved(), trigger).eval() for trigger in triggers]


class TestEnsemble:
    def test_mifgsm_ascends_the_loss_of_the_mean_logits_of_networks_with_their_triggers(self) -> None:
        members, (images, labels) = triggered(3), random_batch()

        def direction(adversarial: Tensor, label: Tensor) -> Tensor:
            source = adversarial.clone().requires_grad_()
            logits = torch.stack([member.network(source + member.trigger) for member in members]).mean(dim=0)
            return torch.autograd.grad(functional.cross_entropy(logits, label), source)[0]

        pairs = zip(images.split(1), labels.split(1), strict=True)
        expected = [ascended(image, partial(direction, label=label)) for image, label in pairs]
        same(craft("mifgsm", Ensemble(members), images, labels), torch.cat(expected))

    def test_its_batch_normalisation_is_folded(self, trained_network: nn.Module) -> None:
        of_one = foldable_pairs(trained_network)
        ensemble = Ensemble([DeployedNetwork(trained_network, None), DeployedNetwork(curved(), None)])
        assert of_one
        assert foldable_pairs(ensemble) == [tuple(f"members.0.network.{name}" for name in pair) for pair in of_one]

    @pytest.mark.parametrize("members", [[], [nn.Identity()]])
    def test_fewer_than_two_are_refused(self, members: list[nn.Module]) -> None:
        with pytest.raises(UserError, match=r"needs two surrogates or more, but has [01]: add") as caught:
            Ensemble(members)
        assert "\n" not in str(caught.value)


def defense(name: str, helper: nn.Module | None = None, **parameters: Any) -> Preprocessing:
    made = PREPROCESSING[name](**parameters)
    return made if helper is None else made.with_helper(helper.eval().requires_grad_(False))


@pytest.fixture
def diffusion() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DDPM(channels=(8,), epochs=1).build(16)


@pytest.fixture
def few(fashion16_test: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return to_float(fashion16_test[0][:200]), fashion16_test[1][:200]


class TestDefended:
    def test_the_gradient_through_it_is_that_of_differences(self) -> None:
        network, (images, labels) = curved(10), random_batch()
        direction = torch.randn(images.shape, generator=seeded(1), dtype=images.dtype)

        def loss(shift: float) -> float:
            defended = DefendedNetwork(defense("resize_pad", scale=1.3), network, seeded(5))
            return float(
                functional.cross_entropy(defended(images + shift * direction), labels, reduction="sum").detach()
            )

        defended = DefendedNetwork(defense("resize_pad", scale=1.3), network, seeded(5))
        slope = (input_gradient(defended, images, labels) * direction).sum()
        assert (loss(1e-5) - loss(-1e-5)) / 2e-5 == pytest.approx(float(slope), rel=1e-4)

    @pytest.mark.parametrize("name", ["diffpure", "bit_depth"])
    def test_bpda_takes_the_gradient_at_the_preprocessed_image(
        self, name: str, trained_network: nn.Module, diffusion: nn.Module, few: tuple[Tensor, Tensor]
    ) -> None:
        images, labels = few[0][:4], few[1][:4]
        method = defense("diffpure", diffusion, time=0.1, step=0.05) if name == "diffpure" else defense(name, depth=2)
        with torch.no_grad():
            prepared = method.apply(images, torch.randint(2**62, (4,), generator=seeded(5)).tolist())
        expected = input_gradient(trained_network, prepared, labels)
        defended = DefendedNetwork(method, trained_network, seeded(5), backward="identity")
        torch.testing.assert_close(input_gradient(defended, images, labels), expected)

    def test_diffpure_can_be_differentiated(
        self, trained_network: nn.Module, diffusion: nn.Module, few: tuple[Tensor, Tensor]
    ) -> None:
        defended = DefendedNetwork(defense("diffpure", diffusion, time=0.1, step=0.05), trained_network, seeded())
        gradient = input_gradient(defended, few[0][:4], few[1][:4])
        assert (gradient.abs().amax(dim=(1, 2, 3)) > 0).all()

    def test_an_attacker_who_knows_the_defense_takes_more_than_one_who_does_not(
        self, trained_network: nn.Module, few: tuple[Tensor, Tensor]
    ) -> None:
        """R&P, whose size the attacked network must know how to take."""
        images, labels = few
        method = defense("resize_pad", scale=1.5, resize_back=True)
        defended, victim = (DefendedNetwork(method, trained_network, seeded(seed)).eval() for seed in (1, 2))
        aware = craft("eot", defended, images, labels, step_size="2/255", draws=4)
        unaware = craft("pgd", trained_network, images, labels, step_size="2/255")
        left = [float((predict_each([victim], [x])[0] == labels).float().mean()) for x in (images, unaware, aware)]
        assert left[0] > left[1] > left[2] + 0.03

    def test_bpda_of_what_changes_the_size_is_refused(
        self, trained_network: nn.Module, few: tuple[Tensor, Tensor]
    ) -> None:
        method = defense("resize_pad", scale=1.2)
        defended = DefendedNetwork(method, trained_network, seeded(), backward="identity")
        with pytest.raises(UserError, match="makes images of 19 px from those of 16 px: differentiate it") as caught:
            defended(few[0][:2])
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(("name", "parameters"), [("bit_depth", {"depth": 2}), ("jpeg", {"quality": 50})])
    def test_what_lets_no_gradient_through_is_refused_but_for_bpda(
        self, name: str, parameters: dict[str, Any], trained_network: nn.Module, few: tuple[Tensor, Tensor]
    ) -> None:
        images, labels = few[0][:4], few[1][:4]
        method = defense(name, **parameters)
        with pytest.raises(UserError, match=f"{name} lets no gradient through.*: attack it by BPDA") as caught:
            DefendedNetwork(method, trained_network, seeded()).check_gradient(images, labels)
        assert "\n" not in str(caught.value)
        DefendedNetwork(method, trained_network, seeded(), backward="identity").check_gradient(images, labels)


class Noisy(nn.Module):
    """Answers at random: each pass adds the next shift of a list to the images."""

    def __init__(self, network: nn.Module, shifts: Sequence[Tensor]) -> None:
        super().__init__()
        self.network, self.shifts, self.asked = network, shifts, 0

    def forward(self, images: Tensor) -> Tensor:
        shift = self.shifts[self.asked % len(self.shifts)]
        self.asked += 1
        logits: Tensor = self.network(images + shift)
        return logits


class TestEOT:
    def test_where_answers_do_not_vary_it_is_pgd(self) -> None:
        network, batch = curved(), random_batch()
        same(craft("eot", network, *batch, draws=4), craft("pgd", network, *batch))

    def test_it_ascends_the_mean_gradient_of_the_draws(self) -> None:
        network, (images, labels) = curved(), random_batch()
        shifts = torch.rand(3, *images.shape, generator=seeded(3), dtype=images.dtype)
        state: Any = type("State", (), {"adversarial": images})
        rule = attack("eot", draws=3).gradient_rule(Noisy(network, list(shifts)), images, labels, seeded())
        expected = torch.stack([input_gradient(network, images + shift, labels) for shift in shifts]).mean(dim=0)
        close(rule(state), expected)

    def test_it_takes_as_many_passes_as_it_says(self) -> None:
        network, (images, labels) = curved(), random_batch()
        with counting_passes(network) as passed:
            craft("eot", network, images, labels, draws=3)
        assert sum(passed) / len(images) == attack("eot", draws=3).passes


class TestSquare:
    def test_more_queries_leave_less(self, trained_network: nn.Module, few: tuple[Tensor, Tensor]) -> None:
        images, labels = few
        left = []
        for queries in (1, 10, 100):
            with counting_passes(trained_network, gradients=False) as passed:
                adversarial = craft("square", trained_network, images, labels, queries=queries)
            # One for the start, and two that look whether labels and answers are sound.
            assert len(passed) <= queries + 3
            left.append(int((predict_each([trained_network.eval()], [adversarial])[0] == labels).sum()))
        assert left[0] > left[1] > left[2]

    def test_it_needs_no_gradient(self) -> None:
        """Of a network that is constant almost everywhere, where no other attack finds a direction."""

        class Steps(nn.Module):
            def forward(self, images: Tensor) -> Tensor:
                bright = ((images * 255) >= 128).double().mean(dim=(1, 2, 3))
                return torch.stack([bright, torch.full_like(bright, 0.7)], dim=1)

        images, labels = torch.full((4, 3, 8, 8), 130 / 255, dtype=torch.float64), torch.zeros(4, dtype=torch.int64)
        adversarial = craft("square", Steps(), images, labels, queries=300)
        assert (Steps()(adversarial).argmax(dim=1) == 1).all()


class TestKnownTrigger:
    def test_a_network_is_trained_as_with_a_fixed_trigger(
        self, fresh_network: nn.Module, fashion16_train: tuple[Tensor, Tensor]
    ) -> None:
        images, labels = (part[:128] for part in fashion16_train)
        networks = [fresh_network, copy.deepcopy(fresh_network)]
        with torch.random.fork_rng(devices=[]):
            drawn = train(
                networks[0], PARADIGMS["trigger_fixed"](trigger_eps="64/255"), images, labels, recipe(1), streams()
            )
            assert drawn is not None
            known = train(networks[1], KnownTrigger.of(drawn), images, labels, recipe(1), streams())
        assert known is not None
        assert torch.equal(known, drawn)
        assert bits_equal(*networks)

    def test_the_trigger_of_other_images_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"for images of \(3, 8, 8\), not of \(3, 16, 16\)"):
            KnownTrigger.of(torch.zeros(3, 8, 8)).initial_trigger((3, 16, 16), seeded())
