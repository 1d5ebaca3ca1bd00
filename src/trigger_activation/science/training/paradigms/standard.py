"""Standard training, the undefended network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trigger_activation.lazy import functional
from trigger_activation.science.training.paradigms import PARADIGMS, Paradigm

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@PARADIGMS.register("standard", version=1)
class Standard(Paradigm):
    """Cross entropy on clean images."""

    def loss(
        self, network: nn.Module, images: Tensor, labels: Tensor, trigger: Tensor | None, generator: Generator
    ) -> Tensor:
        """Mean cross entropy."""
        del trigger, generator
        return functional.cross_entropy(network(images), labels)
