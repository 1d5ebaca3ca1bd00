"""Checkpoints: safetensors with weights, buffers, the trigger, and a description of the network they fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from trigger_activation.errors import UserError
from trigger_activation.networks import NETWORKS
from trigger_activation.networks._deployed import DeployedNetwork
from trigger_activation.storage.atomic import replacing

TRIGGER = "trigger"


def save_checkpoint(path: Path, network: nn.Module, trigger: Tensor | None, description: dict[str, Any]) -> None:
    """Write a network and its trigger.

    Args:
        path: the file.
        network: whose state is written.
        trigger: (3, H, W) or None.
        description: what :func:`build_network` needs to build the network again.
    """
    tensors = {f"network.{name}": tensor.contiguous() for name, tensor in network.state_dict().items()}
    if trigger is not None:
        tensors[TRIGGER] = trigger.contiguous()
    with replacing(path) as temporary:
        # Not by save_file, whose error on a full disk is no OSError.
        temporary.write_bytes(save(tensors, metadata={"description": json.dumps(description, sort_keys=True)}))


def build_network(description: dict[str, Any]) -> nn.Module:
    """A network with fresh weights, from ``{"network": ..., "image_size": ..., "classes": ...}``."""
    parameters = dict(description["network"])
    family = NETWORKS[parameters.pop("class")](**parameters)
    return family.build(description["image_size"], description["classes"])


def load_checkpoint(path: Path, device: torch.device, expected: dict[str, Any]) -> DeployedNetwork:
    """The deployed network f_t in evaluation mode.

    Args:
        path: the file.
        device: where the network goes.
        expected: the network that the file must describe.

    Raises:
        UserError: the file is damaged, holds another network, or its weights do not fit.
    """
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            description = json.loads(file.metadata()["description"])
        if description["network"] != expected:
            raise ValueError(f"it holds {description['network']}, not {expected}")
        trigger = tensors.pop(TRIGGER, None)
        with torch.random.fork_rng(devices=[]):
            network = build_network(description)
        network.load_state_dict({name.removeprefix("network."): value for name, value in tensors.items()})
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be used as a checkpoint ({reason}): delete it and run again") from None
    deployed = DeployedNetwork(network, trigger).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return deployed.eval()  # type: ignore[no-any-return]
