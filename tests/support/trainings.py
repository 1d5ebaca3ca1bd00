"""A small training, for the fixtures and for the tests of training itself."""

from __future__ import annotations

import math
from pathlib import Path

import torch
import yaml
from torch import Generator, Tensor, nn

from trigger_activation.science.networks import NETWORKS, NetworkFamily
from trigger_activation.science.training.loop import Streams
from trigger_activation.science.training.settings import Augmentation, TrainingSettings

CONFIG = Path(__file__).resolve().parents[2] / "config"


def vgg_s() -> NetworkFamily:
    """The family of the networks that the fixtures train."""
    entry = yaml.safe_load((CONFIG / "networks/miniature.yaml").read_text("utf-8"))["vgg-s"]
    return NETWORKS[entry["class"]](**entry["parameters"])


def streams() -> Streams:
    return Streams(*(Generator().manual_seed(seed) for seed in range(5)))


def recipe(epochs: int, **changes: object) -> TrainingSettings:
    settings = TrainingSettings(
        epochs=epochs,
        batch_size=64,
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=5e-4,
        gradient_clip=5.0,
        augmentation=Augmentation(crop="pad", padding=1, horizontal_flip=True),
    )
    return settings.model_copy(update=changes)


def bits_equal(left: nn.Module, right: nn.Module) -> bool:
    states = left.state_dict(), right.state_dict()
    return all(torch.equal(states[0][key], states[1][key]) for key in states[0] | states[1])


def rounding(network: nn.Module) -> float:
    """By what share of it a network's loss may change where the same terms are added in another order.

    As they are on another kind of processor, in batches of another size or order, or beside other images. A sum of n
    terms in float32 is off by about sqrt(n) eps, and the errors of layers add up. Ten times that leaves room for what
    is counted nowhere else: batch normalisation, logits that are larger than the loss, and chance.
    """
    terms = [parameter[0].numel() for parameter in network.parameters() if parameter.dim() > 1]
    return 10 * torch.finfo(torch.float32).eps * sum(map(math.sqrt, terms))


def trained_on(network: nn.Module) -> list[Tensor]:
    """Fills with what the network is given in training mode."""
    seen: list[Tensor] = []
    network.register_forward_pre_hook(
        lambda network, inputs: seen.append(inputs[0].detach().clone()) if network.training else None
    )
    return seen


def assert_same_statistics(network: nn.Module, expected: nn.Module) -> None:
    for name, value in network.named_buffers():
        torch.testing.assert_close(value, dict(expected.named_buffers())[name], msg=name)
