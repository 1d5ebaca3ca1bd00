"""Real steps of the paper's experiment at full size: each network with each training and each attack, on two images.

What is short: one epoch of one batch, one iteration of an attack, crafting of one iteration within a training, few
copies (``full_size.SHORT``). All else is as config says it, and what config adds is tested without an edit here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite

import pytest
import torch
from torch import Tensor, nn

from tests.support.full_size import (
    SHARED,
    Combination,
    attack_of,
    built,
    combinations,
    deployed,
    fresh,
    one_step,
    paradigm_of,
    random_bytes,
    seeded,
    settings_of,
    small_side,
    streams,
    without_variants,
)
from trigger_activation.plan.graph import Artifact
from trigger_activation.run.stages._shared import check_budget
from trigger_activation.science.attacks import Attack
from trigger_activation.science.attacks._features import FeatureAttack
from trigger_activation.science.attacks.pgd import PGD
from trigger_activation.science.images import to_bytes, to_float
from trigger_activation.science.training.paradigms import Paradigm
from trigger_activation.science.training.paradigms.fixed_trigger import FixedTrigger
from trigger_activation.science.training.paradigms.learnable_trigger import LearnableTrigger
from trigger_activation.science.training.paradigms.standard import Standard
from trigger_activation.store.checkpoints import build_network

TRAININGS, CRAFTINGS = without_variants(combinations("checkpoint")), combinations("tae")
LARGE = 224
"""Side of the images of the protocol on ImageNet."""
LARGE_TRAININGS, LARGE_CRAFTINGS = combinations("checkpoint", LARGE), combinations("tae", LARGE)


def assert_trains(checkpoint: Artifact, network: nn.Module, side: int) -> Tensor | None:
    """One step of SGD with the protocol's rate and decay along finite, clipped gradients; the trigger fits."""
    parameters = dict(network.named_parameters())
    # Of each parameter the first row alone: VGG's 140 million are 560 MB.
    before = {name: parameter[:1].detach().clone() for name, parameter in parameters.items()}
    trigger, (report,) = one_step(checkpoint, network, side)
    settings = settings_of(checkpoint)
    assert isfinite(report.loss)
    assert report.loss > 0
    assert all(tensor.sum().isfinite() for tensor in [*parameters.values(), *network.buffers()])
    gradients = {name: parameter.grad for name, parameter in parameters.items() if parameter.grad is not None}
    assert set(gradients) == set(parameters)
    assert 0 < nn.utils.get_total_norm(gradients.values()) < settings.gradient_clip * (1 + 1e-4)
    for name, start in before.items():
        step = settings.learning_rate * (gradients[name][:1] + settings.weight_decay * start)
        torch.testing.assert_close(parameters[name][:1].detach(), start - step, msg=name)
    assert any(not torch.equal(parameters[name][:1], start) for name, start in before.items())
    assert_trigger(checkpoint, trigger, side)
    return trigger


def assert_trigger(checkpoint: Artifact, trigger: Tensor | None, side: int) -> None:
    """Where it started, or one step of alpha from there if it learns."""
    paradigm = paradigm_of(checkpoint)
    if trigger is None:
        assert paradigm.initial_trigger((3, side, side), streams().trigger) is None
        return
    start = paradigm.initial_trigger((3, side, side), streams(trigger.device).trigger)
    assert start is not None
    assert trigger.shape == (3, side, side)
    assert trigger.isfinite().all()
    if isinstance(paradigm, FixedTrigger):
        assert torch.equal(trigger, start)
        assert (trigger.abs() - float(paradigm.trigger_eps)).abs().max() < 1e-6
    if isinstance(paradigm, LearnableTrigger):
        alpha = float(paradigm.alpha)
        steps = (trigger - start) / alpha
        assert (steps - steps.round()).abs().max() < 1e-3
        assert steps.abs().round().max() == 1
        assert trigger.abs().max() <= 2 * alpha + 1e-6


def assert_attacks(tae: Artifact, network: nn.Module, side: int) -> Tensor:
    """Most pixels move, none further than the budget, none out of range, also as the bytes that are stored."""
    attack, surrogate = attack_of(tae), deployed(tae, network, side)
    device = next(network.parameters()).device
    stored, labels = random_bytes(1, side, device)
    images = to_float(stored)
    adversarial = attack.perturb(surrogate, images, labels, seeded(0, device))
    assert adversarial.shape == images.shape
    assert adversarial.isfinite().all()
    assert adversarial.min() >= 0
    assert adversarial.max() <= 1
    assert (adversarial != images).double().mean() > 0.5
    if attack.keeps_budget:
        assert (adversarial - images).abs().max() <= float(attack.eps) + 1e-6
    check_budget(to_bytes(adversarial), stored, attack, tae.path)
    return adversarial


@pytest.fixture(scope="module", autouse=True)
def _shared_networks() -> Iterator[None]:
    yield
    SHARED.clear()


@pytest.mark.parametrize("combination", TRAININGS, ids="-".join)
def test_every_network_takes_one_step_by_every_paradigm(combination: Combination) -> None:
    """At 32 px, Inception at its smallest side; other magnitudes of triggers on the first network alone."""
    checkpoint = TRAININGS[combination]
    side = small_side(checkpoint)
    assert_trains(checkpoint, built(checkpoint, side), side)


@pytest.mark.parametrize("combination", CRAFTINGS, ids="-".join)
def test_every_attack_makes_one_iteration_on_every_network(combination: Combination) -> None:
    """At 32 px, Inception at its smallest side."""
    tae = CRAFTINGS[combination]
    side = small_side(tae)
    assert_attacks(tae, built(tae, side), side)


def parameter_count(checkpoint: Artifact) -> int:
    with torch.device("meta"):
        network = build_network({key: checkpoint.settings[key] for key in ("network", "image_size", "classes")})
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture(scope="module", params={"smallest": min, "largest": max}.items(), ids=lambda choice: choice[0])
def large(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    """Name of the smallest and of the largest of the networks for large images, and itself; tests train it in place."""
    checkpoints = {network: checkpoint for (network, _), checkpoint in LARGE_TRAININGS.items()}
    name = request.param[1](checkpoints, key=lambda network: parameter_count(checkpoints[network]))
    return name, fresh(checkpoints[name], LARGE)


def first_of(planned: dict[Combination, Artifact], network: str, kind: type[Paradigm] | type[Attack]) -> Artifact:
    """The first with this network and this kind of paradigm or attack."""
    tool = paradigm_of if issubclass(kind, Paradigm) else attack_of
    return next(made for (name, _), made in planned.items() if name == network and isinstance(tool(made), kind))


@pytest.mark.parametrize("kind", [Standard, LearnableTrigger])
def test_networks_for_large_images_take_one_step(kind: type[Paradigm], large: tuple[str, nn.Module]) -> None:
    name, network = large
    assert_trains(first_of(LARGE_TRAININGS, name, kind), network, LARGE)


@pytest.mark.parametrize("kind", [PGD, FeatureAttack])
def test_networks_for_large_images_are_attacked(kind: type[Attack], large: tuple[str, nn.Module]) -> None:
    name, network = large
    assert_attacks(first_of(LARGE_CRAFTINGS, name, kind), network, LARGE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_does_the_same_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step with a learnable trigger, then one iteration of PGD on the network that it made."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
    (name, _), _ = next(iter(TRAININGS.items()))
    checkpoint, tae = first_of(TRAININGS, name, LearnableTrigger), first_of(CRAFTINGS, name, PGD)
    results = []
    for _ in range(2):
        network = copy.deepcopy(built(checkpoint, 32)).to("cuda")
        with deterministic():
            trigger = assert_trains(checkpoint, network, 32)
            adversarial = assert_attacks(tae, network, 32)
        results.append([trigger, adversarial, *network.state_dict().values()])
    assert all(torch.equal(first, second) for first, second in zip(*results, strict=True))


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
