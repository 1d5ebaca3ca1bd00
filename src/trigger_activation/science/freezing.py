"""Temporary states of networks: frozen for crafting, evaluation mode for measuring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from trigger_activation.science._folding import folded


@contextmanager
def frozen(network: nn.Module, intact: nn.Module | None = None) -> Iterator[nn.Module]:
    """Evaluation mode, parameters without gradients, batch normalisation folded; afterwards all is as before.

    The output of the module ``intact`` stays what it is without folding.
    """
    modes = [(module, module.training) for module in network.modules()]
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    network.eval()
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        with folded(network, intact):
            yield network
    finally:
        for module, training in modes:
            module.training = training
        for parameter in trainable:
            parameter.requires_grad_(True)
