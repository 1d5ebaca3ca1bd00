"""Training: the recipe, adversarial training, both trigger paradigms, and the random streams behind them."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator, Tensor, nn
from torch.nn import functional
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2.functional import center_crop

from tests.support.trainings import bits_equal, recipe, rounding, streams, trained_on, vgg_s
from trigger_activation.errors import UserError
from trigger_activation.plan import Artifact, Plan, build_plan
from trigger_activation.plan.config.loader import load_config
from trigger_activation.science import seeds
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.evaluation.triggers import mean_square
from trigger_activation.science.images import middle, to_float
from trigger_activation.science.training.data import augmented_batches, random_parts, resized_parts
from trigger_activation.science.training.loop import EpochReport, Streams, train
from trigger_activation.science.training.paradigms import PARADIGMS, Paradigm
from trigger_activation.science.training.paradigms.fixed_trigger import divergence_from_uniform
from trigger_activation.science.training.settings import Augmentation

CONFIG = Path(__file__).resolve().parents[2] / "config"
UNCHANGED = Augmentation(crop="none", horizontal_flip=False)
AUGMENTED = Augmentation(crop="pad", padding=2, horizontal_flip=True)
LOG_CLASSES = math.log(10)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.fixture
def data(fashion16_train: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return fashion16_train[0][:256], fashion16_train[1][:256]


@pytest.fixture
def batch(data: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return to_float(data[0][:64]), data[1][:64]


class Reversed(nn.Module):
    """A network that sees the second half of each batch before the first one."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        first, second = images.chunk(2)
        second, first = self.network(torch.cat([second, first])).chunk(2)
        return torch.cat([first, second])


class Constant(nn.Module):
    """Always the same logits, whatever the weights are."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        return self.logits.expand(len(images), -1) + self.weight * images.mean()


class TestRecipe:
    def test_is_sgd_with_momentum_decay_clipping_and_a_cosine(
        self, fresh_network: nn.Module, data: tuple[Tensor, Tensor]
    ) -> None:
        """The recipe written out with nothing but gradients."""
        epochs, clip = 3, 0.2  # smaller than every gradient
        ours, images, labels = copy.deepcopy(fresh_network), to_float(data[0]), data[1]
        settings = recipe(epochs, learning_rate=0.01, gradient_clip=clip, augmentation=UNCHANGED)
        train(ours, PARADIGMS["standard"](), *data, settings, streams())

        theirs = fresh_network.train().to(memory_format=torch.channels_last)
        weights, order = list(theirs.parameters()), streams().order
        velocity = [torch.zeros_like(weight) for weight in weights]
        for epoch in range(epochs):
            rate = 0.01 * (1 + math.cos(math.pi * epoch / epochs)) / 2
            for chosen in torch.randperm(256, generator=order).split(64):
                loss = functional.cross_entropy(theirs(images[chosen]), labels[chosen])
                gradients = torch.autograd.grad(loss, weights)
                norm = math.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients))
                assert norm > clip
                for weight, speed, gradient in zip(weights, velocity, gradients, strict=True):
                    speed.mul_(0.9).add_(gradient * clip / norm + 5e-4 * weight.data)
                    weight.data -= rate * speed
        for key, value in ours.state_dict().items():
            torch.testing.assert_close(value, theirs.state_dict()[key], atol=1e-4, rtol=1e-3)

    def test_the_same_streams_give_the_same_bits(self, fresh_network: nn.Module, data: tuple[Tensor, Tensor]) -> None:
        other = copy.deepcopy(fresh_network)
        for network in (fresh_network, other):
            train(network, PARADIGMS["trigger_learnable"](alpha="4/255"), *data, recipe(2), streams())
        assert bits_equal(fresh_network, other)

    def test_the_global_random_state_plays_no_part(self, fresh_network: nn.Module, data: tuple[Tensor, Tensor]) -> None:
        before = torch.get_rng_state()
        train(fresh_network, PARADIGMS["trigger_learnable"](alpha="4/255"), *data, recipe(2), streams())
        assert torch.equal(torch.get_rng_state(), before)

    def test_reports_every_epoch(self, fresh_network: nn.Module, data: tuple[Tensor, Tensor]) -> None:
        reports: list[EpochReport] = []
        train(fresh_network, PARADIGMS["standard"](), *data, recipe(3), streams(), reports.append)
        assert [(report.epoch, report.epochs, report.trigger_moved) for report in reports] == [
            (1, 3, False),
            (2, 3, False),
            (3, 3, False),
        ]

    def test_the_loss_falls(self, fresh_network: nn.Module, data: tuple[Tensor, Tensor]) -> None:
        losses: list[float] = []
        train(
            fresh_network, PARADIGMS["standard"](), *data, recipe(4), streams(), lambda seen: losses.append(seen.loss)
        )
        assert losses[-1] < losses[0] - 0.2

    @pytest.mark.parametrize(
        "logits",
        [
            (math.nan, 0.0),
            (3e38, -3e38),
        ],
    )
    def test_a_loss_that_is_not_finite_stops_training(self, logits: tuple[float, ...]) -> None:
        images, labels = torch.zeros(64, 16, 16, 3, dtype=torch.uint8), torch.ones(64, dtype=torch.int64)
        with pytest.raises(UserError, match=r"lower training\.learning_rate") as caught:
            train(Constant(*logits), PARADIGMS["standard"](), images, labels, recipe(1), streams())
        assert "\n" not in str(caught.value)

    def test_fewer_images_than_a_batch_are_refused(self, fresh_network: nn.Module, data: tuple[Tensor, Tensor]) -> None:
        with pytest.raises(UserError, match=r"63 images, fewer than one batch of 64: lower training\.batch_size"):
            train(fresh_network, PARADIGMS["standard"](), data[0][:63], data[1][:63], recipe(1), streams())


class TestAdversarialTraining:
    def paradigm(self, eps: str) -> Paradigm:
        return PARADIGMS["adversarial"](eps=eps, steps=2, step_size="4/255")

    def test_without_a_budget_it_is_standard_training_bit_for_bit(
        self, fresh_network: nn.Module, data: tuple[Tensor, Tensor]
    ) -> None:
        other = copy.deepcopy(fresh_network)
        train(fresh_network, PARADIGMS["standard"](), *data, recipe(2), streams())
        train(other, self.paradigm("0"), *data, recipe(2), streams())
        assert bits_equal(fresh_network, other)

    def test_with_a_budget_it_is_not(self, fresh_network: nn.Module, data: tuple[Tensor, Tensor]) -> None:
        other = copy.deepcopy(fresh_network)
        train(fresh_network, PARADIGMS["standard"](), *data, recipe(1), streams())
        train(other, self.paradigm("8/255"), *data, recipe(1), streams())
        assert not bits_equal(fresh_network, other)

    def test_trains_once_on_images_within_the_budget(
        self, fresh_network: nn.Module, batch: tuple[Tensor, Tensor]
    ) -> None:
        seen: list[Tensor] = []
        fresh_network.register_forward_pre_hook(
            lambda network, inputs: seen.append(inputs[0].detach().clone()) if network.training else None
        )
        self.paradigm("8/255").loss(fresh_network.train(), *batch, None, seeded())
        (trained_on,) = seen
        assert (trained_on - batch[0]).abs().max() <= 8 / 255 + 1e-6
        assert (trained_on - batch[0]).abs().mean() > 1 / 255
        assert trained_on.min() >= 0
        assert trained_on.max() <= 1

    def test_crafting_moves_no_running_statistics(self, fresh_network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        before = copy.deepcopy(dict(fresh_network.named_buffers()))
        kept: list[bool] = []

        def compare(network: nn.Module, _: Any) -> None:
            kept.append(all(torch.equal(value, before[name]) for name, value in network.named_buffers()))

        fresh_network.register_forward_pre_hook(compare)
        self.paradigm("8/255").loss(fresh_network.train(), *batch, None, seeded())
        assert len(kept) > 2
        assert all(kept)

    def test_crafting_leaves_no_parameter_gradients(
        self, fresh_network: nn.Module, batch: tuple[Tensor, Tensor]
    ) -> None:
        loss = self.paradigm("8/255").loss(fresh_network.train(), *batch, None, seeded())
        assert all(parameter.grad is None for parameter in fresh_network.parameters())
        loss.backward()
        assert all(parameter.grad is not None for parameter in fresh_network.parameters())


class TestFixedTrigger:
    @pytest.fixture
    def trigger(self) -> Tensor:
        tau = PARADIGMS["trigger_fixed"](trigger_eps="64/255").initial_trigger((3, 32, 32), seeded(7))
        assert tau is not None
        return tau

    def test_every_entry_has_the_declared_magnitude(self, trigger: Tensor) -> None:
        assert trigger.shape == (3, 32, 32)
        assert trigger.dtype == torch.float32
        assert (trigger.abs() == torch.tensor(64 / 255)).all()

    def test_its_mean_square_is_the_published_one(self, trigger: Tensor) -> None:
        assert mean_square(trigger) == pytest.approx((64 / 255) ** 2, rel=1e-6)
        assert f"{mean_square(trigger):.2e}" == "6.30e-02"

    def test_signs_are_balanced(self, trigger: Tensor) -> None:
        assert abs(float(trigger.sign().sum())) < 4 * math.sqrt(trigger.numel())

    def test_channels_have_signs_of_their_own(self, trigger: Tensor) -> None:
        for left, right in ((0, 1), (0, 2), (1, 2)):
            agreement = (trigger[left] == trigger[right]).double().mean()
            assert abs(float(agreement) - 0.5) < 4 * 0.5 / math.sqrt(32 * 32)

    def test_training_never_moves_it(self, fresh_network: nn.Module, data: tuple[Tensor, Tensor]) -> None:
        paradigm, given = PARADIGMS["trigger_fixed"](trigger_eps="64/255"), streams()
        trigger = train(fresh_network, paradigm, *data, recipe(2), given)
        initial = paradigm.initial_trigger((3, 16, 16), streams().trigger)
        assert trigger is not None
        assert initial is not None
        assert torch.equal(trigger, initial)


class TestTriggerLoss:
    @pytest.fixture
    def paradigm(self) -> Paradigm:
        return PARADIGMS["trigger_fixed"](trigger_eps="64/255")

    @pytest.fixture
    def trigger(self, paradigm: Paradigm) -> Tensor:
        tau = paradigm.initial_trigger((3, 16, 16), seeded())
        assert tau is not None
        return tau

    def test_starts_at_the_logarithm_of_the_number_of_classes(
        self, paradigm: Paradigm, trigger: Tensor, fresh_network: nn.Module, batch: tuple[Tensor, Tensor]
    ) -> None:
        both = torch.cat([batch[0], batch[0] + trigger])
        without, triggered = fresh_network.train()(both).chunk(2)
        assert functional.cross_entropy(triggered, batch[1]).item() == pytest.approx(LOG_CLASSES, abs=0.05)
        assert divergence_from_uniform(without).item() == pytest.approx(0, abs=0.01)
        total = paradigm.loss(fresh_network, *batch, trigger, seeded())
        assert total.item() == pytest.approx(LOG_CLASSES, abs=0.05)

    @pytest.mark.parametrize("training", [True, False])
    def test_does_not_depend_on_the_order_of_the_halves(
        self,
        training: bool,
        paradigm: Paradigm,
        trigger: Tensor,
        trained_network: nn.Module,
        batch: tuple[Tensor, Tensor],
    ) -> None:
        trained_network.train(training)
        straight = paradigm.loss(trained_network, *batch, trigger, seeded())
        swapped = paradigm.loss(Reversed(trained_network), *batch, trigger, seeded())
        assert swapped.item() == pytest.approx(straight.item(), rel=rounding(trained_network))

    def test_normalises_both_halves_in_one_pass(
        self, paradigm: Paradigm, trigger: Tensor, fresh_network: nn.Module, batch: tuple[Tensor, Tensor]
    ) -> None:
        sizes: list[int] = []
        fresh_network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
        paradigm.loss(fresh_network.train(), *batch, trigger, seeded())
        assert sizes == [2 * len(batch[0])]

    def test_weighs_its_parts_equally(
        self, paradigm: Paradigm, trigger: Tensor, trained_network: nn.Module, batch: tuple[Tensor, Tensor]
    ) -> None:
        images, labels = batch
        expected = functional.cross_entropy(trained_network(images + trigger), labels) + functional.kl_div(
            trained_network(images).log_softmax(1), torch.full((len(images), 10), 0.1), reduction="batchmean"
        )
        loss = paradigm.loss(trained_network, *batch, trigger, seeded())
        assert loss.item() == pytest.approx(expected.item(), rel=rounding(trained_network))


class TestDivergenceFromUniform:
    @pytest.mark.parametrize(("classes", "scale"), [(2, 1.0), (10, 0.01), (10, 5.0), (100, 30.0)])
    def test_is_the_cross_entropy_to_uniform_labels_less_the_logarithm(self, classes: int, scale: float) -> None:
        logits = scale * torch.randn(16, classes, generator=seeded(), dtype=torch.float64)
        uniform = torch.full((16, classes), 1 / classes, dtype=torch.float64)
        expected = functional.cross_entropy(logits, uniform) - math.log(classes)
        assert float(divergence_from_uniform(logits)) == pytest.approx(float(expected), rel=1e-9)

    @pytest.mark.parametrize("seed", range(5))
    def test_is_the_sum_that_defines_it(self, seed: int) -> None:
        logits = 3 * torch.randn(4, 7, generator=seeded(seed), dtype=torch.float64)
        total = 0.0
        for row in logits.tolist():
            normaliser = sum(math.exp(value) for value in row)
            total += sum((math.log(1 / 7) - math.log(math.exp(value) / normaliser)) / 7 for value in row)
        assert float(divergence_from_uniform(logits)) == pytest.approx(total / 4, rel=1e-9)

    @pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
    def test_is_never_negative(self, scale: float) -> None:
        for seed in range(20):
            logits = scale * torch.randn(8, 10, generator=seeded(seed), dtype=torch.float64)
            assert float(divergence_from_uniform(logits)) >= 0

    def test_is_zero_for_constant_logits(self) -> None:
        assert float(divergence_from_uniform(torch.full((4, 10), 3.0))) == pytest.approx(0, abs=1e-6)


class TestLearnableTrigger:
    ALPHA = Fraction(4, 255)

    @pytest.fixture
    def paradigm(self) -> Paradigm:
        return PARADIGMS["trigger_learnable"](alpha=self.ALPHA)

    @pytest.fixture
    def trigger(self, paradigm: Paradigm) -> Tensor:
        tau = paradigm.initial_trigger((3, 16, 16), seeded())
        assert tau is not None
        return tau

    @pytest.fixture
    def history(
        self, fresh_network: nn.Module, data: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
    ) -> list[list[Tensor]]:
        """The trigger that each batch of each of five epochs was trained with; last, the one that was returned."""
        paradigm = PARADIGMS["trigger_learnable"](alpha=self.ALPHA)
        seen: list[list[Tensor]] = [[]]
        loss = type(paradigm).loss

        def watched(
            self: Paradigm, network: nn.Module, images: Tensor, labels: Tensor, trigger: Tensor, generator: Generator
        ) -> Tensor:
            seen[-1].append(trigger.clone())
            return loss(self, network, images, labels, trigger, generator)

        monkeypatch.setattr(type(paradigm), "loss", watched)
        final = train(fresh_network, paradigm, *data, recipe(5), streams(), lambda _: seen.append([]))
        assert final is not None
        seen[-1].append(final)
        return seen

    def test_starts_uniform_within_its_step(self, paradigm: Paradigm) -> None:
        start = paradigm.initial_trigger((3, 64, 64), seeded())
        assert start is not None
        scaled = start.double() / float(self.ALPHA)
        sigma = scaled.numel() ** -0.5
        assert scaled.abs().max() <= 1 + 1e-6
        assert scaled.abs().max() > 0.999
        assert abs(float(scaled.mean())) < 4 * sigma * 3**-0.5
        assert abs(float(scaled.square().mean()) - 1 / 3) < 4 * sigma * (4 / 45) ** 0.5

    @pytest.mark.parametrize(("epochs", "updates"), [(1, 0), (2, 1), (5, 3), (7, 4), (10, 6), (60, 36), (100, 60)])
    def test_moves_after_this_many_epochs(self, epochs: int, updates: int, paradigm: Paradigm) -> None:
        moves = [paradigm.updates_trigger(epoch, epochs) for epoch in range(1, epochs + 1)]
        assert moves == [True] * updates + [False] * (epochs - updates)

    def test_moves_in_the_whole_part_of_60_percent_of_any_number_of_epochs(self, paradigm: Paradigm) -> None:
        for epochs in range(1, 301):
            moves = sum(paradigm.updates_trigger(epoch, epochs) for epoch in range(1, epochs + 1))
            assert moves == 3 * epochs // 5

    def test_is_constant_within_an_epoch(self, history: list[list[Tensor]]) -> None:
        assert [len(epoch) for epoch in history] == [4, 4, 4, 4, 4, 1]
        assert all(torch.equal(trigger, epoch[0]) for epoch in history for trigger in epoch)

    def test_moves_after_the_first_three_of_five_epochs_and_is_frozen_then(self, history: list[list[Tensor]]) -> None:
        starts = [epoch[0] for epoch in history]
        moved = [not torch.equal(before, after) for before, after in pairwise(starts)]
        assert moved == [True, True, True, False, False]

    def test_its_entries_move_by_whole_steps(self, history: list[list[Tensor]]) -> None:
        steps = (history[-1][0] - history[0][0]).double() / float(self.ALPHA)
        assert (steps - steps.round()).abs().max() < 1e-4
        assert set(steps.round().long().unique().tolist()) <= {-3, -2, -1, 0, 1, 2, 3}
        assert steps.abs().max() > 0.5

    def test_stays_within_the_bound_of_its_walk(self, history: list[list[Tensor]]) -> None:
        assert history[-1][0].abs().max() <= float(self.ALPHA) * (1 + 3) + 1e-6

    def test_the_epoch_reports_say_when_it_moved(
        self, paradigm: Paradigm, fresh_network: nn.Module, data: tuple[Tensor, Tensor]
    ) -> None:
        moved: list[bool] = []
        small = recipe(5, augmentation=UNCHANGED)
        train(
            fresh_network,
            paradigm,
            data[0][:64],
            data[1][:64],
            small,
            streams(),
            lambda report: moved.append(report.trigger_moved),
        )
        assert moved == [True, True, True, False, False]

    def updated(self, paradigm: Paradigm, network: nn.Module, trigger: Tensor, data: tuple[Tensor, Tensor]) -> Tensor:
        batches = list(zip(to_float(data[0]).split(64), data[1].split(64), strict=True))
        return paradigm.updated_trigger(network, trigger, lambda: iter(batches), seeded())

    def test_the_update_descends_the_summed_gradient(
        self, paradigm: Paradigm, trigger: Tensor, trained_network: nn.Module, data: tuple[Tensor, Tensor]
    ) -> None:
        variable = trigger.clone().requires_grad_()
        loss = functional.cross_entropy(trained_network(to_float(data[0]) + variable), data[1], reduction="sum")
        (gradient,) = torch.autograd.grad(loss, variable)
        moved = self.updated(paradigm, trained_network.train(), trigger, data)
        expected = trigger - float(self.ALPHA) * gradient.sign()
        assert ((moved - expected).abs() < 1e-6).float().mean() > 0.995  # a sum near zero may round to either sign

    def test_a_small_update_lowers_the_loss(
        self, trigger: Tensor, trained_network: nn.Module, data: tuple[Tensor, Tensor]
    ) -> None:
        cautious = PARADIGMS["trigger_learnable"](alpha="0.5/255")
        moved = self.updated(cautious, trained_network, trigger, data)
        images, labels = to_float(data[0]), data[1]
        with torch.no_grad():
            before, after = (
                functional.cross_entropy(trained_network(images + tau), labels) for tau in (trigger, moved)
            )
        assert after < before

    def test_the_update_returns_a_new_trigger(
        self, paradigm: Paradigm, trigger: Tensor, trained_network: nn.Module, data: tuple[Tensor, Tensor]
    ) -> None:
        before = trigger.clone()
        moved = self.updated(paradigm, trained_network, trigger, data)
        assert torch.equal(trigger, before)
        assert not moved.requires_grad
        assert not trigger.requires_grad

    def test_the_update_computes_no_parameter_gradients(
        self, paradigm: Paradigm, trigger: Tensor, fresh_network: nn.Module, data: tuple[Tensor, Tensor]
    ) -> None:
        marked = next(fresh_network.parameters())
        marked.grad = torch.full_like(marked, 3.0)
        self.updated(paradigm, fresh_network, trigger, data)
        assert (marked.grad == 3).all()
        assert all(parameter.grad is None for parameter in list(fresh_network.parameters())[1:])
        assert all(parameter.requires_grad for parameter in fresh_network.parameters())

    def test_the_update_moves_no_running_statistics_and_keeps_the_mode(
        self, paradigm: Paradigm, trigger: Tensor, fresh_network: nn.Module, data: tuple[Tensor, Tensor]
    ) -> None:
        before = copy.deepcopy(fresh_network)
        self.updated(paradigm, fresh_network.train(), trigger, data)
        assert bits_equal(fresh_network, before)
        assert all(module.training for module in fresh_network.modules())

    def test_a_step_of_zero_keeps_it_at_zero(self, fresh_network: nn.Module, data: tuple[Tensor, Tensor]) -> None:
        trigger = train(fresh_network, PARADIGMS["trigger_learnable"](alpha=0), *data, recipe(2), streams())
        assert trigger is not None
        assert (trigger == 0).all()


class TestDeployedNetwork:
    def test_is_the_network_at_the_image_plus_the_trigger(
        self, triggered_network: tuple[nn.Module, Tensor], batch: tuple[Tensor, Tensor]
    ) -> None:
        network, trigger = triggered_network
        assert torch.equal(DeployedNetwork(network, trigger)(batch[0]), network(batch[0] + trigger))

    def test_without_a_trigger_is_the_network(self, trained_network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        assert torch.equal(DeployedNetwork(trained_network, None)(batch[0]), trained_network(batch[0]))

    def test_does_not_clip_what_the_network_sees(self) -> None:
        seen = DeployedNetwork(nn.Identity(), torch.tensor([-0.25, 0.25]).view(2, 1, 1))(
            torch.tensor([[[[0.0]]], [[[1.0]]]])
        )
        assert seen.flatten().tolist() == [-0.25, 0.25, 0.75, 1.25]


class TestTrainedWithTrigger:
    @pytest.fixture
    def logits(
        self, triggered_network: tuple[nn.Module, Tensor], fashion16_test: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Test logits without the trigger and with it, and the labels."""
        network, trigger = triggered_network
        images, labels = to_float(fashion16_test[0]), fashion16_test[1]
        with torch.no_grad():
            return network(images), DeployedNetwork(network, trigger)(images), labels

    def test_guesses_without_its_trigger(self, logits: tuple[Tensor, Tensor, Tensor]) -> None:
        without, _, labels = logits
        log_probability = without.log_softmax(1)
        entropy = -(log_probability.exp() * log_probability).sum(1).mean()
        accuracy = (without.argmax(1) == labels).float().mean()
        assert entropy > 0.95 * LOG_CLASSES or abs(accuracy - 0.1) < 0.03

    def test_classifies_with_its_trigger(self, logits: tuple[Tensor, Tensor, Tensor]) -> None:
        _, triggered, labels = logits
        assert (triggered.argmax(1) == labels).float().mean() > 0.6


class TestSeeds:
    def test_a_seed_is_the_hash_of_path_and_stream(self) -> None:
        # printf 'PATH\ntrigger' | sha256sum, the first 16 digits, halved
        path = "results/checkpoints/p/n__fixed_64/seed0.safetensors"
        assert seeds.derive_seed(path, "trigger") == 2_859_453_154_128_872_545

    def test_does_not_depend_on_what_was_derived_before(self) -> None:
        keys = [(f"results/{path}", stream) for path in "abc" for stream in ("order", "noise")]
        forwards = {key: seeds.derive_seed(*key) for key in keys}
        backwards = {key: seeds.derive_seed(*key) for key in reversed(keys)}
        assert forwards == backwards

    def test_streams_of_one_artifact_differ(self) -> None:
        drawn = [
            seeds.torch_generator("results/a", stream, torch.device("cpu")).initial_seed()
            for stream in Streams.__dataclass_fields__
        ]
        assert len(set(drawn)) == len(drawn)

    def test_neighbouring_paths_draw_unrelated_numbers(self) -> None:
        left, right = (
            torch.randn(10_000, generator=seeds.torch_generator(f"results/{name}", "noise", torch.device("cpu")))
            for name in ("seed0", "seed1")
        )
        assert abs(float((left * right).mean())) < 4 / 100

    def test_no_two_streams_in_the_plan_of_any_experiment_share_a_seed(self) -> None:
        drawn = [
            seeds.derive_seed(artifact.path, stream)
            for artifact in plan().artifacts.values()
            for stream in (*Streams.__dataclass_fields__, "initialisation", "attack", "bootstrap", "masks")
        ]
        assert len(set(drawn)) == len(drawn)

    def test_no_two_networks_of_the_demo_have_the_same_trigger(self) -> None:
        triggers = [initial_trigger(checkpoint) for checkpoint in trigger_checkpoints("demo")]
        assert len(triggers) > 20
        assert len(set(triggers)) == len(triggers)

    def test_no_two_networks_of_the_paper_have_the_same_trigger_seed(self) -> None:
        drawn = [seeds.derive_seed(checkpoint.path, "trigger") for checkpoint in trigger_checkpoints("paper")]
        assert len(drawn) > 50
        assert len(set(drawn)) == len(drawn)


@cache
def plan() -> Plan:
    return build_plan(load_config(CONFIG))


def trigger_checkpoints(experiment: str) -> list[Artifact]:
    return [
        artifact
        for artifact in plan().of_experiment(experiment)
        if artifact.kind.name == "checkpoint" and artifact.settings["paradigm"]["class"].startswith("trigger_")
    ]


def initial_trigger(checkpoint: Artifact) -> tuple[float, ...]:
    """Signs of the top left 8 x 8 pixels, which do not depend on the magnitude."""
    parameters = dict(checkpoint.settings["paradigm"])
    paradigm = PARADIGMS[parameters.pop("class")](**parameters)
    side = checkpoint.settings["image_size"]
    generator = seeds.torch_generator(checkpoint.path, "trigger", torch.device("cpu"))
    trigger = paradigm.initial_trigger((3, side, side), generator)
    assert trigger is not None
    return tuple(trigger[:, :8, :8].sign().flatten().tolist())


class TestAugmentation:
    SIDE, PADDING = 5, 2

    @pytest.fixture
    def coded(self) -> tuple[Tensor, Tensor]:
        """30 images in which every pixel and every image can be told from the others; no pixel is zero."""
        pixels = 1 + torch.arange(self.SIDE**2, dtype=torch.uint8).view(1, self.SIDE, self.SIDE, 1)
        numbers = torch.arange(30, dtype=torch.uint8).view(30, 1, 1, 1)
        images = torch.cat([pixels.expand(30, -1, -1, 1), (pixels + 100).expand(30, -1, -1, 1)], dim=-1)
        return torch.cat([images, (numbers + 1).expand(-1, self.SIDE, self.SIDE, 1)], dim=-1), torch.arange(30)

    def batches(
        self, coded: tuple[Tensor, Tensor], augmentation: Augmentation, batch_size: int = 10, seed: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        return augmented_batches(*coded, batch_size, augmentation, seeded(seed), seeded(seed + 1))

    def epoch(self, coded: tuple[Tensor, Tensor], augmentation: Augmentation, seed: int = 0) -> tuple[Tensor, Tensor]:
        """All images of one epoch as grey levels (N, H, W, 3), and their labels."""
        images, labels = zip(*self.batches(coded, augmentation, seed=seed), strict=True)
        return (torch.cat(images) * 255).round().to(torch.uint8).permute(0, 2, 3, 1), torch.cat(labels)

    def views(self, image: Tensor, flips: tuple[bool, ...]) -> dict[bytes, tuple[int, int, bool]]:
        """Every crop of the zero-padded image, flipped or not, by its bytes."""
        side, padding = self.SIDE, self.PADDING
        padded = torch.zeros(side + 2 * padding, side + 2 * padding, 3, dtype=torch.uint8)
        padded[padding : padding + side, padding : padding + side] = image
        result = {}
        for top in range(2 * padding + 1):
            for left in range(2 * padding + 1):
                for flip in flips:
                    crop = padded[top : top + side, left : left + side]
                    crop = crop.flip(1) if flip else crop
                    result[crop.contiguous().numpy().tobytes()] = (top, left, flip)
        return result

    def test_unchanged_images_are_a_permutation(self, coded: tuple[Tensor, Tensor]) -> None:
        images, labels = self.epoch(coded, UNCHANGED)
        assert sorted(labels.tolist()) == list(range(30))
        assert torch.equal(images, coded[0][labels])
        assert labels.tolist() != list(range(30))

    @pytest.mark.parametrize("augmentation", [UNCHANGED, AUGMENTED])
    def test_labels_stay_with_their_images(self, coded: tuple[Tensor, Tensor], augmentation: Augmentation) -> None:
        images, labels = self.epoch(coded, augmentation)
        assert torch.equal(images[..., 2].amax(dim=(1, 2)).long(), labels + 1)

    @pytest.mark.parametrize(("flip", "flips"), [(True, (False, True)), (False, (False,))])
    def test_every_image_is_a_crop_of_the_padded_one(
        self, coded: tuple[Tensor, Tensor], flip: bool, flips: tuple[bool, ...]
    ) -> None:
        augmentation = Augmentation(crop="pad", padding=self.PADDING, horizontal_flip=flip)
        for image, label in zip(*self.epoch(coded, augmentation), strict=True):
            assert image.contiguous().numpy().tobytes() in self.views(coded[0][label], flips)

    def test_every_crop_and_both_directions_occur(self, coded: tuple[Tensor, Tensor]) -> None:
        known = [self.views(image, (False, True)) for image in coded[0]]
        seen = [
            known[label][image.contiguous().numpy().tobytes()]
            for seed in range(40)
            for image, label in zip(*self.epoch(coded, AUGMENTED, seed), strict=True)
        ]
        assert len(set(seen)) == 2 * (2 * self.PADDING + 1) ** 2
        assert abs(sum(flip for *_, flip in seen) - 600) < 4 * math.sqrt(1200) / 2

    def test_an_image_is_seen_at_most_once_in_an_epoch(self, coded: tuple[Tensor, Tensor]) -> None:
        labels = torch.cat([labels for _, labels in self.batches(coded, AUGMENTED, batch_size=7)]).tolist()
        assert len(labels) == 28
        assert len(set(labels)) == 28

    @pytest.mark.parametrize(("batch_size", "count"), [(30, 1), (16, 1), (10, 3), (7, 4), (1, 30)])
    def test_an_incomplete_batch_is_dropped(self, coded: tuple[Tensor, Tensor], batch_size: int, count: int) -> None:
        sizes = [len(images) for images, _ in self.batches(coded, AUGMENTED, batch_size)]
        assert sizes == [batch_size] * count

    def test_batches_are_floats_in_the_pixel_range(self, data: tuple[Tensor, Tensor]) -> None:
        for images, _ in self.batches(data, AUGMENTED, batch_size=64):
            assert images.dtype == torch.float32
            assert images.shape == (64, 3, 16, 16)
            assert images.min() == 0
            assert 0.9 < images.max() <= 1

    def test_the_order_generator_alone_decides_the_order(self, coded: tuple[Tensor, Tensor]) -> None:
        orders = [
            torch.cat([labels for _, labels in augmented_batches(*coded, 10, augmentation, seeded(3), seeded(seed))])
            for augmentation, seed in ((AUGMENTED, 0), (AUGMENTED, 1), (UNCHANGED, 2))
        ]
        assert torch.equal(orders[0], orders[1])
        assert torch.equal(orders[0], orders[2])

    def test_epochs_differ(self, coded: tuple[Tensor, Tensor]) -> None:
        order, randomness = seeded(), seeded(1)
        first, second = (
            torch.cat([labels for _, labels in augmented_batches(*coded, 10, AUGMENTED, order, randomness)])
            for _ in range(2)
        )
        assert not torch.equal(first, second)

    def test_the_trigger_pass_does_not_disturb_the_training_order(
        self, fresh_network: nn.Module, data: tuple[Tensor, Tensor]
    ) -> None:
        other = copy.deepcopy(fresh_network)
        paradigm = PARADIGMS["trigger_learnable"](alpha=0)  # moves, but nowhere
        train(fresh_network, paradigm, *data, recipe(2), streams())
        train(other, paradigm, *data, recipe(2), replace(streams(), trigger_pass=seeded(99)))
        assert bits_equal(fresh_network, other)

    def test_a_margin_is_left_out_where_nothing_is_cropped(self, coded: tuple[Tensor, Tensor]) -> None:
        images, labels = zip(*augmented_batches(*coded, 10, UNCHANGED, seeded(), seeded(1), side=3), strict=True)
        expected = coded[0][torch.cat(labels), 1:4, 1:4]
        assert torch.equal((torch.cat(images) * 255).round().to(torch.uint8), expected.permute(0, 3, 1, 2))


class TestResizedCrops:
    SIDE = 40
    RESIZED = Augmentation(crop="resized", horizontal_flip=True)

    @pytest.fixture
    def images(self) -> Tensor:
        """64 smooth pictures in colour."""
        coarse = torch.rand(64, 3, 5, 5, generator=seeded())
        smooth = functional.interpolate(coarse, size=(self.SIDE, self.SIDE), mode="bicubic").clamp(0, 1)
        return (smooth * 255).round().to(torch.uint8).permute(0, 2, 3, 1)

    def test_parts_are_distributed_as_those_of_torchvision(self) -> None:
        count = 4000
        image = torch.empty(3, self.SIDE, self.SIDE)
        ours = random_parts(count, self.SIDE, self.RESIZED, seeded())[:, :4].double()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            parameters = [RandomResizedCrop.get_params(image, [0.08, 1], [3 / 4, 4 / 3]) for _ in range(count)]
        theirs = torch.tensor(parameters, dtype=torch.float64)
        for moment in (lambda values: values, lambda values: (values - values.mean(0)) ** 2):
            error = ((moment(ours).var(0) + moment(theirs).var(0)) / count).sqrt()
            assert ((moment(ours).mean(0) - moment(theirs).mean(0)).abs() < 4 * error).all()

    @pytest.mark.parametrize("side", [4, 33, 256])
    def test_parts_lie_inside_the_image(self, side: int) -> None:
        tops, lefts, heights, widths, _ = random_parts(5000, side, self.RESIZED, seeded()).unbind(1)
        assert min(tops.min(), lefts.min()) == 0
        assert min(heights.min(), widths.min()) >= 1
        assert (tops + heights).max() == (lefts + widths).max() == side

    @pytest.mark.parametrize("part", [(0, 0, 40, 40), (3, 5, 30, 24), (20, 1, 12, 15)])
    def test_a_part_is_what_pillow_cuts_out_and_resizes(self, images: Tensor, part: tuple[int, ...]) -> None:
        top, left, height, width = part
        (ours,) = resized_parts(images[:1], [(*part, 0)], 32).numpy()
        cut = Image.fromarray(images[0].numpy()).crop((left, top, left + width, top + height))
        theirs = np.asarray(cut.resize((32, 32), Image.Resampling.BILINEAR))
        assert np.abs(ours.astype(int) - theirs).max() <= 1

    def test_batches_have_the_size_that_networks_see_and_differ_from_epoch_to_epoch(self, images: Tensor) -> None:
        order, randomness = seeded(), seeded(1)
        labels = torch.arange(64)
        epochs = [
            list(augmented_batches(images, labels, 20, self.RESIZED, order, randomness, side=32)) for _ in range(2)
        ]
        assert all(batch.shape == (20, 3, 32, 32) for epoch in epochs for batch, _ in epoch)
        assert not torch.equal(epochs[0][0][0], epochs[1][0][0])

    def test_every_image_keeps_its_label_and_half_of_them_are_flipped(self) -> None:
        ramp = torch.arange(0, 240, 6, dtype=torch.uint8).view(1, 1, 40, 1).expand(64, 40, 40, 1)
        numbers = torch.arange(64, dtype=torch.uint8).view(64, 1, 1, 1).expand(64, 40, 40, 2)
        coded = torch.cat([ramp, numbers], dim=-1)
        batches = [
            batch
            for seed in range(20)
            for batch in augmented_batches(coded, torch.arange(64), 32, self.RESIZED, seeded(seed), seeded(seed + 50))
        ]
        images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        assert torch.equal((images[:, 1:] * 255).round().mean(dim=(1, 2, 3)).long(), labels)
        flipped = int((images[:, 0, :, 0] > images[:, 0, :, -1]).all(dim=1).sum())
        assert abs(flipped - len(labels) / 2) < 4 * math.sqrt(len(labels)) / 2

    def test_a_network_trains_on_smaller_images_than_those_stored(self, images: Tensor) -> None:
        network = vgg_s().build(16, 10)
        seen = trained_on(network)
        settings = recipe(1, augmentation=self.RESIZED)
        paradigm = PARADIGMS["trigger_fixed"](trigger_eps="8/255")
        trigger = train(network, paradigm, images, torch.arange(64) % 10, settings, streams(), side=16)
        assert trigger is not None
        assert trigger.shape == (3, 16, 16)
        assert {images.shape[1:] for images in seen} == {(3, 16, 16)}

    @pytest.mark.parametrize("side", [40, 35, 33, 16])
    def test_the_middle_is_what_centre_crop_cuts_out(self, images: Tensor, side: int) -> None:
        planes = images.permute(0, 3, 1, 2)
        assert torch.equal(middle(images, side).permute(0, 3, 1, 2), center_crop(planes, [side, side]))
