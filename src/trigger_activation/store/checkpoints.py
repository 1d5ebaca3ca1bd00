"""Checkpoints: safetensors with weights, buffers, the trigger, and a description of the network they fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from trigger_activation.errors import UserError
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.helpers import HELPERS
from trigger_activation.science.networks import NETWORKS
from trigger_activation.store.atomic import replacing

TRIGGER, CLAMP = "trigger", "clamp"


def save_checkpoint(
    path: Path, network: nn.Module, trigger: Tensor | None, description: dict[str, Any], clamp: bool = False
) -> None:
    """Write a network and its trigger.

    Args:
        path: the file.
        network: whose state is written.
        trigger: (3, H, W) or None.
        description: what :func:`build_network` needs to build the network again.
        clamp: whether the network sees x + tau clamped to [0, 1].
    """
    tensors = {f"network.{name}": tensor.contiguous() for name, tensor in network.state_dict().items()}
    if trigger is not None:
        tensors[TRIGGER] = trigger.contiguous()
    description = description | ({CLAMP: True} if clamp else {})
    with replacing(path) as temporary:
        # Not by save_file, whose error on a full disk is no OSError.
        temporary.write_bytes(save(tensors, metadata={"description": json.dumps(description, sort_keys=True)}))


def build_network(description: dict[str, Any]) -> nn.Module:
    """A network with fresh weights, from ``{"network": ..., "image_size": ..., "classes": ...}``."""
    return NETWORKS.instance(description["network"]).build(description["image_size"], description["classes"])


def load_checkpoint(path: Path, device: torch.device, expected: dict[str, Any]) -> DeployedNetwork:
    """The deployed network f_t in evaluation mode.

    Args:
        path: the file.
        device: where the network goes.
        expected: the network that the file must describe.

    Raises:
        UserError: the file is damaged, holds another network, or its weights do not fit.
    """
    network, trigger, clamp = _load(path, device, "network", expected, build_network)
    deployed = DeployedNetwork(network, trigger, clamp).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return deployed.eval()  # type: ignore[no-any-return]


def build_helper(description: dict[str, Any]) -> nn.Module:
    """A helper network with fresh weights, from ``{"helper": ..., "image_size": ...}``."""
    return HELPERS.instance(description["helper"]).build(description["image_size"])


def load_helper(path: Path, device: torch.device, expected: dict[str, Any]) -> nn.Module:
    """A helper network in evaluation mode, its parameters frozen; otherwise like :func:`load_checkpoint`."""
    network, *_ = _load(path, device, "helper", expected, build_helper)
    return network.to(device).eval().requires_grad_(False)


def _load(
    path: Path, device: torch.device, key: str, expected: dict[str, Any], build: Callable[[dict[str, Any]], nn.Module]
) -> tuple[nn.Module, Tensor | None, bool]:
    """A network on the CPU, its trigger, and whether it clamps, if the file says under ``key`` what is expected."""
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            description = _description(file)
        if description[key] != expected:
            raise ValueError(f"it holds {description[key]}, not {expected}")
        trigger = tensors.pop(TRIGGER, None)
        with torch.random.fork_rng(devices=[]):
            network = build(description)
        network.load_state_dict({name.removeprefix("network."): value for name, value in tensors.items()})
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be used as a checkpoint ({reason}): delete it and run again") from None
    return network, trigger, description.get(CLAMP) is True


def clamps(path: Path) -> bool:
    """Whether the network in a safetensors file sees x + tau clamped, as those of this project say; others do not."""
    with safe_open(path, framework="pt") as file:
        try:
            return _description(file).get(CLAMP) is True
        except (AttributeError, KeyError, TypeError, ValueError):
            return False


def _description(file: safe_open) -> dict[str, Any]:
    description: dict[str, Any] = json.loads(file.metadata()["description"])  # type: ignore[no-untyped-call]
    return description
