"""Temporary states of networks: frozen for crafting, evaluation mode for measuring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

from trigger_activation.science._folding import folded


@contextmanager
def frozen(network: nn.Module, intact: nn.Module | None = None) -> Iterator[nn.Module]:
    """Evaluation mode, parameters without gradients, batch normalisation folded; afterwards all is as before.

    The output of the module ``intact`` stays what it is without folding.
    """
    with _without_parameter_gradients(network.eval, network), folded(network, intact):
        yield network


@contextmanager
def frozen_in_training(network: nn.Module) -> Iterator[nn.Module]:
    """Training mode, parameters without gradients; afterwards all is as before, running statistics included.

    Batch normalisation takes the statistics of each batch, and dropout drops.
    """
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        with _without_parameter_gradients(network.train, network):
            yield network
    finally:
        for buffer, before in buffers:
            buffer.copy_(before)


@contextmanager
def _without_parameter_gradients(enter: Callable[[], object], network: nn.Module) -> Iterator[None]:
    """The mode that ``enter`` puts the network in, until modes and gradients are as before."""
    modes = [(module, module.training) for module in network.modules()]
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    enter()
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter in trainable:
            parameter.requires_grad_(True)
