"""What the paper leaves open about triggers, each a parameter, against an oracle of its own."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from tests.support.projects import Project
from tests.support.trainings import bits_equal, recipe, rounding, streams, trained_on
from trigger_activation.errors import UserError
from trigger_activation.plan import Plan
from trigger_activation.plan.config.loader import validate
from trigger_activation.run.job import Job
from trigger_activation.run.spec import read_spec, write_spec
from trigger_activation.run.stages.training import path_without_network, stream
from trigger_activation.science import seeds
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.freezing import frozen_in_training
from trigger_activation.science.images import to_float
from trigger_activation.science.training.loop import Streams, train
from trigger_activation.science.training.paradigms import PARADIGMS
from trigger_activation.science.training.paradigms.fixed_trigger import (
    KLDirection,
    KLReduction,
    divergence_from_uniform,
)

CPU = torch.device("cpu")
EPS, ALPHA = 64 / 255, 32 / 255
GIVEN: dict[str, dict[str, Any]] = {
    "trigger_fixed": {"trigger_eps": "64/255"},
    "trigger_learnable": {"alpha": "32/255"},
}
Data = tuple[Tensor, Tensor]
every_paradigm = pytest.mark.parametrize("name", GIVEN)


def kl_by_torch(logits: Tensor, direction: KLDirection, reduction: KLReduction) -> Tensor:
    """By kl_div(input, target), the divergence of exp(input) from target, and the mean over what its name says."""
    prediction = logits.log_softmax(dim=1)
    uniform = torch.full_like(prediction, 1 / logits.shape[1])
    if direction == "forward":
        terms = functional.kl_div(prediction, uniform, reduction="none")
    else:
        terms = functional.kl_div(uniform.log(), prediction, reduction="none", log_target=True)
    return terms.sum() / len(logits) if reduction == "batchmean" else terms.mean()


def paradigm(name: str, **changes: object) -> Any:
    return PARADIGMS[name](**GIVEN[name] | changes)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.fixture
def data(fashion16_train: Data) -> Data:
    return fashion16_train[0][:256], fashion16_train[1][:256]


@pytest.fixture
def batches(data: Data) -> list[Data]:
    """Four batches of 64."""
    return list(zip(to_float(data[0]).split(64), data[1].split(64), strict=True))


@pytest.fixture
def batch(batches: list[Data]) -> Data:
    return batches[0]


@pytest.fixture
def trigger() -> Tensor:
    tau: Tensor = paradigm("trigger_fixed").initial_trigger((3, 16, 16), seeded())
    return tau


class TestClamp:
    @every_paradigm
    def test_training_shows_the_network_images_and_clamped_sums(
        self, name: str, fresh_network: nn.Module, batch: Data, trigger: Tensor
    ) -> None:
        seen = trained_on(fresh_network)
        paradigm(name, clamp=True).loss(fresh_network.train(), *batch, trigger, seeded())
        without, triggered = seen[0].chunk(2)
        assert torch.equal(without, batch[0])
        assert torch.equal(triggered, torch.clip(batch[0] + trigger, min=0, max=1))
        assert not torch.equal(triggered, batch[0] + trigger)

    @every_paradigm
    def test_no_clamp_unless_asked_for(self, name: str, fresh_network: nn.Module, batch: Data, trigger: Tensor) -> None:
        seen = trained_on(fresh_network)
        paradigm(name).loss(fresh_network.train(), *batch, trigger, seeded())
        assert torch.equal(seen[0], torch.cat([batch[0], batch[0] + trigger]))
        assert not paradigm(name).deployed(fresh_network, trigger).clamp

    @every_paradigm
    def test_the_deployed_network_sees_what_it_was_trained_on(self, name: str, batch: Data, trigger: Tensor) -> None:
        given = paradigm(name, clamp=True)
        seen = given.deployed(nn.Identity(), trigger)(batch[0])
        assert torch.equal(seen, given.triggered(batch[0], trigger))
        assert seen.min() >= 0
        assert seen.max() <= 1

    def test_the_trigger_pass_sees_clamped_sums(self, trained_network: nn.Module, batch: Data, trigger: Tensor) -> None:
        """Where f sees 0 or 1 for all images, the gradient of the trigger is zero and its entry stays."""
        images, labels = batch[0].clone(), batch[1]
        images[..., 0], trigger[..., 0] = 0, -0.25
        moved = paradigm("trigger_learnable", clamp=True).updated_trigger(
            trained_network, trigger, lambda: iter([(images, labels)]), seeded()
        )
        assert torch.equal(moved[..., 0], trigger[..., 0])
        assert (moved[..., 1:] != trigger[..., 1:]).float().mean() > 0.5

    def test_gradients_go_through_the_clamp(self, trained_network: nn.Module, batch: Data, trigger: Tensor) -> None:
        """Those of f at the clamped sum, where it is within the range, and zero elsewhere."""
        images, labels = batch
        deployed, network = DeployedNetwork(trained_network, trigger, clamp=True).eval(), trained_network.eval()
        images = images.requires_grad_()
        functional.cross_entropy(deployed(images), labels).backward()
        sums = images.detach() + trigger
        seen = torch.minimum(torch.maximum(sums, torch.tensor(0.0)), torch.tensor(1.0))
        inside, outside = (sums > 0) & (sums < 1), (sums < 0) | (sums > 1)  # at the ends both would do
        seen.requires_grad_()
        functional.cross_entropy(network(seen), labels).backward()
        assert images.grad is not None
        assert seen.grad is not None
        assert 0.1 < inside.float().mean() < 0.9
        torch.testing.assert_close(images.grad[inside], seen.grad[inside])
        assert (images.grad[outside] == 0).all()

    def test_attacks_take_those_gradients(self, trained_network: nn.Module, batch: Data, trigger: Tensor) -> None:
        """One step of FGSM, for which batch normalisation is folded."""
        deployed = DeployedNetwork(trained_network, trigger, clamp=True).eval()
        attack = ATTACKS["ifgsm"](eps="8/255", steps=1)
        crafted = attack.perturb(deployed, *batch, seeded())
        variable = batch[0].clone().requires_grad_()
        loss = functional.cross_entropy(trained_network((variable + trigger).clamp(0, 1)), batch[1], reduction="sum")
        (gradient,) = torch.autograd.grad(loss, variable)
        expected = (batch[0] + 8 / 255 * gradient.sign()).clamp(0, 1)
        large = gradient.abs() > 1e-5  # rounding may turn the sign of others
        torch.testing.assert_close(crafted[large], expected[large])
        dead = (batch[0] + trigger < 0) | (batch[0] + trigger > 1)
        assert torch.equal(crafted[dead], batch[0][dead])

    def test_sums_with_other_triggers_are_clamped_too(self, trigger: Tensor, batch: Data) -> None:
        deployed = DeployedNetwork(nn.Identity(), trigger, clamp=True)
        assert torch.equal(deployed.of_sums()(batch[0] - trigger), (batch[0] - trigger).clamp(0, 1))
        assert torch.equal(deployed.of_sums()(batch[0] + trigger), deployed(batch[0]))
        unclamped = DeployedNetwork(nn.Identity(), trigger).of_sums()
        assert torch.equal(unclamped(batch[0] - trigger), batch[0] - trigger)

    def test_without_a_trigger_black_and_white_keep_their_gradients(self) -> None:
        images = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1).requires_grad_()
        DeployedNetwork(nn.Identity(), None, clamp=True)(images).sum().backward()
        assert images.grad is not None
        assert (images.grad == 1).all()


class TestDivergence:
    @pytest.mark.parametrize("reduction", ["batchmean", "mean"])
    @pytest.mark.parametrize("direction", ["forward", "reverse"])
    @pytest.mark.parametrize(("classes", "scale"), [(2, 1.0), (10, 0.01), (10, 5.0), (100, 10.0)])
    def test_is_what_torch_computes(
        self, direction: KLDirection, reduction: KLReduction, classes: int, scale: float
    ) -> None:
        logits = scale * torch.randn(16, classes, generator=seeded(), dtype=torch.float64)
        expected = kl_by_torch(logits, direction, reduction)
        found = divergence_from_uniform(logits, direction, reduction)
        assert float(found) == pytest.approx(float(expected), rel=1e-7)

    def test_the_reverse_is_the_logarithm_less_the_entropy(self) -> None:
        logits = 3 * torch.randn(16, 10, generator=seeded(), dtype=torch.float64)
        entropy = torch.distributions.Categorical(logits=logits).entropy().mean()
        assert float(divergence_from_uniform(logits, "reverse")) == pytest.approx(math.log(10) - float(entropy))

    @pytest.mark.parametrize("direction", ["forward", "reverse"])
    def test_is_zero_for_constant_logits_and_finite_for_certain_ones(self, direction: KLDirection) -> None:
        assert float(divergence_from_uniform(torch.full((4, 10), 3.0), direction)) == pytest.approx(0, abs=1e-6)
        certain = 1e4 * torch.eye(10)
        assert torch.isfinite(divergence_from_uniform(certain, direction))
        assert divergence_from_uniform(certain, direction) > 1

    @every_paradigm
    @pytest.mark.parametrize("reduction", ["batchmean", "mean"])
    @pytest.mark.parametrize("direction", ["forward", "reverse"])
    def test_the_loss_takes_the_one_asked_for(
        self,
        name: str,
        direction: KLDirection,
        reduction: KLReduction,
        trained_network: nn.Module,
        batch: Data,
        trigger: Tensor,
    ) -> None:
        logits = trained_network(torch.cat([batch[0], batch[0] + trigger]))
        without, triggered = logits.chunk(2)
        expected = functional.cross_entropy(triggered, batch[1]) + kl_by_torch(without, direction, reduction)
        given = paradigm(name, kl_direction=direction, kl_reduction=reduction)
        loss = given.loss(trained_network, *batch, trigger, seeded())
        assert loss.item() == pytest.approx(expected.item(), rel=rounding(trained_network))


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(tmp_path)
    return Project.shipped(tmp_path).plan()


class TestSharedTrigger:
    PATHS = tuple(f"results/checkpoints/p/{network}__fixed_64/seed0.safetensors" for network in ("vgg", "resnet"))

    def test_the_path_that_seeds_it_has_no_network(self) -> None:
        assert {path_without_network(path) for path in self.PATHS} == {
            "results/checkpoints/p/fixed_64/seed0.safetensors"
        }

    @pytest.mark.parametrize(
        "other",
        [
            "results/checkpoints/q/vgg__fixed_64/seed0.safetensors",
            "results/checkpoints/p/vgg__fixed_32/seed0.safetensors",
            "results/checkpoints/p/vgg__fixed_64/seed1.safetensors",
        ],
    )
    def test_protocols_paradigms_and_seeds_have_triggers_of_their_own(self, other: str) -> None:
        first, second = (
            paradigm("trigger_fixed").initial_trigger(
                (3, 16, 16), seeds.torch_generator(path_without_network(path), "trigger", CPU)
            )
            for path in (self.PATHS[0], other)
        )
        assert abs(float((first == second).float().mean()) - 0.5) < 0.1

    @pytest.mark.parametrize("shared", [True, False])
    def test_a_training_draws_from_its_protocols_stream_or_its_own(self, shared: bool, planned: Plan) -> None:
        """And all other streams are the network's own either way."""
        given = paradigm("trigger_fixed", shared_trigger=shared)
        found: dict[str, list[int]] = {}
        for network in ("vgg-s", "resnet18-xs"):
            artifact = planned[f"results/checkpoints/fashion16/{network}__fixed_64/seed0.safetensors"]
            job: Job[Any] = Job(read_spec(write_spec(planned, artifact), artifact.recipe))
            for name in Streams.__dataclass_fields__:
                found.setdefault(name, []).append(stream(job, name, given).initial_seed())
        for name, drawn in found.items():
            assert len(set(drawn)) == (1 if shared and name == "trigger" else len(drawn))

    @every_paradigm
    def test_is_asked_for_by_its_parameter(self, name: str) -> None:
        assert paradigm(name, shared_trigger=True).shares_trigger
        assert not paradigm(name).shares_trigger
        assert not PARADIGMS["standard"]().shares_trigger


class TestTriggerPass:
    def moved(self, mode: str, network: nn.Module, trigger: Tensor, batches: list[Data]) -> Tensor:
        tau: Tensor = paradigm("trigger_learnable", trigger_pass=mode).updated_trigger(
            network, trigger, lambda: iter(batches), seeded()
        )
        return tau

    @pytest.mark.parametrize("mode", ["eval", "train"])
    def test_the_gradient_is_that_of_the_mode(
        self, mode: str, trained_network: nn.Module, trigger: Tensor, batches: list[Data]
    ) -> None:
        reference, total = copy.deepcopy(trained_network).train(mode == "train"), torch.zeros_like(trigger)
        for images, labels in batches:
            variable = trigger.clone().requires_grad_()
            functional.cross_entropy(reference(images + variable), labels).backward()
            assert variable.grad is not None
            total += variable.grad
        moved = self.moved(mode, trained_network, trigger, batches)
        assert ((moved - (trigger - ALPHA * total.sign())).abs() < 1e-6).float().mean() > 0.99

    def test_the_modes_differ(self, trained_network: nn.Module, trigger: Tensor, batches: list[Data]) -> None:
        found = [self.moved(mode, trained_network, trigger, batches) for mode in ("eval", "train")]
        assert not torch.equal(*found)

    @pytest.mark.parametrize("training", [True, False])
    def test_in_training_mode_the_network_stays_as_it_was(
        self, training: bool, trained_network: nn.Module, trigger: Tensor, batches: list[Data]
    ) -> None:
        trained_network.train(training)
        before = copy.deepcopy(trained_network)
        self.moved("train", trained_network, trigger, batches)
        assert bits_equal(trained_network, before)
        assert all(module.training is training for module in trained_network.modules())
        assert all(parameter.requires_grad for parameter in trained_network.parameters())
        assert all(parameter.grad is None for parameter in trained_network.parameters())

    def test_statistics_are_put_back_after_an_error(self, trained_network: nn.Module) -> None:
        before = copy.deepcopy(trained_network)
        changed = []

        def interrupted() -> None:
            with frozen_in_training(trained_network):
                trained_network(torch.rand(8, 3, 16, 16))
                changed.append(not bits_equal(trained_network, before))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert changed == [True]
        assert bits_equal(trained_network, before)


class TestRandomWalk:
    def trained(self, network: nn.Module, data: Data, direction: str, epochs: int = 5) -> Tensor:
        trigger = train(
            copy.deepcopy(network), paradigm("trigger_learnable", direction=direction), *data, recipe(epochs), streams()
        )
        assert trigger is not None
        return trigger

    def test_a_step_has_the_gradients_size_in_every_entry(self, trigger: Tensor) -> None:
        def refused() -> Any:
            raise AssertionError("it looks at no data")

        walk = paradigm("trigger_learnable", direction="random")
        moved = walk.updated_trigger(nn.Identity(), trigger, refused, seeded())
        torch.testing.assert_close((moved - trigger).abs(), torch.full_like(trigger, ALPHA))
        assert abs(float((moved - trigger).sign().sum())) < 4 * math.sqrt(trigger.numel())

    def test_walks_as_many_steps_as_the_gradient_does(self, fresh_network: nn.Module, data: Data) -> None:
        """From the same start, on the same lattice of steps, and with three steps only odd numbers of them."""
        start = paradigm("trigger_learnable").initial_trigger((3, 16, 16), streams().trigger)
        learned, walked = (
            (self.trained(fresh_network, data, direction) - start) / ALPHA for direction in ("gradient", "random")
        )
        for steps in (learned, walked):
            assert (steps - steps.round()).abs().max() < 1e-4
            assert steps.abs().max() <= 3 + 1e-4
        assert set(walked.round().int().unique().tolist()) == {-3, -1, 1, 3}
        share = float((walked.abs() > 2).float().mean())  # three equal signs of three: 1 of 4
        assert abs(share - 0.25) < 4 * math.sqrt(0.25 * 0.75 / walked.numel())
        assert not torch.equal(learned, walked)

    def test_does_not_depend_on_the_network(
        self, fresh_network: nn.Module, trained_network: nn.Module, data: Data
    ) -> None:
        """So that networks with a shared trigger walk alike; gradients move theirs apart."""
        walked = [self.trained(network, data, "random", epochs=2) for network in (fresh_network, trained_network)]
        learned = [self.trained(network, data, "gradient", epochs=2) for network in (fresh_network, trained_network)]
        assert torch.equal(*walked)
        assert not torch.equal(*learned)

    def test_costs_no_pass_over_the_data(self) -> None:
        assert paradigm("trigger_learnable", direction="random").passes == paradigm("trigger_fixed").passes
        assert paradigm("trigger_learnable").passes == pytest.approx(2.4)


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("trigger_fixed", "kl_direction", "backward"),
        ("trigger_fixed", "kl_reduction", "sum"),
        ("trigger_fixed", "clamp", "yes"),
        ("trigger_fixed", "trigger_pass", "train"),
        ("trigger_fixed", "direction", "random"),
        ("trigger_learnable", "trigger_pass", "both"),
        ("trigger_learnable", "direction", "ascending"),
    ],
)
def test_what_is_no_choice_is_refused(name: str, parameter: str, value: object) -> None:
    with pytest.raises(UserError, match=parameter) as caught:
        validate(PARADIGMS[name], GIVEN[name] | {parameter: value}, "config/paradigms/x.yaml", "x.parameters")
    assert "\n" not in str(caught.value)
