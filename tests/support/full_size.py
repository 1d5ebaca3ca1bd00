"""The trainings and attacks of the paper experiment, shortened to one step on a few images."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from tests.support.crafting import equipped
from tests.support.projects import shipped_plan
from trigger_activation.plan.graph import Artifact
from trigger_activation.science.attacks import ATTACKS, Attack
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.networks import NETWORKS
from trigger_activation.science.training.loop import EpochReport, Streams, train
from trigger_activation.science.training.paradigms import PARADIGMS, Paradigm
from trigger_activation.science.training.settings import TrainingSettings
from trigger_activation.store.checkpoints import build_network

SHORT: dict[str, Any] = {
    "steps": 1,
    "moving_share": 1.0,  # the trigger moves after the only epoch
    "path_points": 2,
    "copies": 2,
    "neighbours": 1,
    "paths": 1,
    "operations": 1,
    "reverse_steps": 1,
}
"""What parameters of these names become, whichever class has them."""
IMAGES = 2
CPU = torch.device("cpu")
Combination = tuple[str, str]
"""A network, and the paradigm or attack that it meets."""


def checkpoint_of(artifact: Artifact) -> Artifact:
    """The checkpoint itself, or the surrogate of a TAE set."""
    return shipped_plan()[artifact.inputs["surrogate"][0]] if artifact.kind.name == "tae" else artifact


def combinations(kind: str, side: int | None = None) -> dict[Combination, Artifact]:
    """For each combination in the paper experiment a checkpoint or TAE set, of the smallest images, or of one side."""
    found: dict[Combination, Artifact] = {}
    artifacts = [artifact for artifact in shipped_plan().of_experiment("paper") if artifact.kind.name == kind]
    for artifact in sorted(artifacts, key=_image_size):
        network, _, paradigm = Path(artifact.path).parts[3].partition("__")
        if side in {None, _image_size(artifact)}:
            found.setdefault((network, paradigm if kind == "checkpoint" else Path(artifact.path).stem), artifact)
    return found


def without_variants(combinations: dict[Combination, Artifact]) -> dict[Combination, Artifact]:
    """Of trainings whose paradigms differ in numbers alone one for each network, but for the first network all."""
    first = next(iter(combinations))[0]
    kept: dict[Combination, Artifact] = {}
    seen: set[tuple[str, str]] = set()
    for (network, name), checkpoint in combinations.items():
        kind = network, checkpoint.settings["paradigm"]["class"]
        if network == first or kind not in seen:
            kept[network, name] = checkpoint
            seen.add(kind)
    return kept


def _image_size(artifact: Artifact) -> int:
    return int(checkpoint_of(artifact).settings["image_size"])


def small_side(artifact: Artifact) -> int:
    """32 px, or the smallest images that the network takes."""
    parameters = checkpoint_of(artifact).settings
    return max(32, NETWORKS[parameters["network"]["class"]].smallest_image)


def fresh(artifact: Artifact, side: int) -> nn.Module:
    """An untrained network for images of one side."""
    parameters = checkpoint_of(artifact).settings
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network({**{key: parameters[key] for key in ("network", "classes")}, "image_size": side})
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


SHARED: dict[str, tuple[nn.Module, dict[str, Tensor]]] = {}
"""Networks that were built, with the weights they started with; 1.3 gigabytes in the end, to be cleared."""


def built(artifact: Artifact, side: int) -> nn.Module:
    """The same, shared by all tests: who asks for it gets it as it started, whatever another test did to it."""
    parameters = checkpoint_of(artifact).settings
    key = f"{parameters['network']} {parameters['classes']} {side}"
    if key not in SHARED:
        network = fresh(artifact, side)
        SHARED[key] = network, copy.deepcopy(network.state_dict())
    network, start = SHARED[key]
    network.load_state_dict(start)
    network.zero_grad()
    return network


def shortened(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a paradigm or attack, with as little to do as they allow."""
    return {key: SHORT.get(key, value) for key, value in parameters.items()}


def paradigm_of(checkpoint: Artifact) -> Paradigm:
    return PARADIGMS.instance(shortened(checkpoint.settings["paradigm"]))


def attack_of(tae: Artifact) -> Attack:
    """With an untrained helper network, if it consults one."""
    return equipped(ATTACKS.instance(shortened(tae.settings["attack"])))


def settings_of(checkpoint: Artifact) -> TrainingSettings:
    """The protocol's, for one epoch of one batch."""
    return TrainingSettings.model_validate({**checkpoint.settings["training"], "epochs": 1, "batch_size": IMAGES})


def seeded(seed: int = 0, device: torch.device = CPU) -> Generator:
    return Generator(device).manual_seed(seed)


def random_bytes(count: int, side: int, device: torch.device = CPU) -> tuple[Tensor, Tensor]:
    """Images (count, side, side, 3), many values at both ends of the range, and labels from 0 on."""
    images = torch.randint(-32, 288, (count, side, side, 3), generator=seeded()).clamp_(0, 255)
    return images.to(device, torch.uint8), torch.arange(count, device=device)


def one_step(checkpoint: Artifact, network: nn.Module, side: int) -> tuple[Tensor | None, list[EpochReport]]:
    """Train a network in place by a checkpoint's recipe; the trigger, and the report of the only epoch."""
    settings, device = settings_of(checkpoint), next(network.parameters()).device
    # As ImageNet's 256 px around 224.
    stored = side * 8 // 7 if settings.augmentation.crop == "resized" else side
    images, labels = random_bytes(IMAGES, stored, device)
    reports: list[EpochReport] = []
    trigger = train(
        network, paradigm_of(checkpoint), images, labels, settings, streams(device), reports.append, side=side
    )
    return trigger, reports


def streams(device: torch.device = CPU) -> Streams:
    return Streams(*(seeded(seed, device) for seed in range(len(Streams.__dataclass_fields__))))


def deployed(tae: Artifact, network: nn.Module, side: int) -> DeployedNetwork:
    """The surrogate with a trigger of the largest magnitude, unless the attack does without."""
    device = next(network.parameters()).device
    signs = torch.randint(0, 2, (3, side, side), generator=seeded(5)) * 2 - 1
    trigger = None if tae.settings.get("without_trigger") else (signs * 64 / 255).to(device)
    return DeployedNetwork(network, trigger).eval()
