"""Trigger activation with a fixed trigger (paper, Algorithm 1)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trigger_activation.lazy import functional, torch
from trigger_activation.parameters import PixelFraction
from trigger_activation.science.training.paradigms import PARADIGMS, Paradigm
from trigger_activation.science.training.paradigms._corners import random_corners

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class TriggerActivation(Paradigm):
    """Guess at random on x, classify x + tau; what fixed and learnable triggers share."""

    @property
    def passes(self) -> float:
        """Images without and with the trigger."""
        return 2.0

    def loss(
        self, network: nn.Module, images: Tensor, labels: Tensor, trigger: Tensor | None, generator: Generator
    ) -> Tensor:
        """CE(f(x + tau), y) + KL(u || softmax f(x)), u uniform, from one forward pass of both halves.

        One pass lets batch normalisation see the mixture, as the paper's concatenation does.
        """
        del generator
        if trigger is None:
            raise ValueError("trigger activation needs a trigger")
        without, triggered = network(torch.cat([images, images + trigger])).chunk(2)
        return functional.cross_entropy(triggered, labels) + divergence_from_uniform(without)


def divergence_from_uniform(logits: Tensor) -> Tensor:
    """KL(u || softmax(logits)), u uniform, averaged over the batch (B, C); zero for constant logits."""
    return -functional.log_softmax(logits, dim=1).mean() - math.log(logits.shape[1])


@PARADIGMS.register("trigger_fixed", version=1)
class FixedTrigger(TriggerActivation):
    """A random trigger of +-eps_t in every entry, drawn once per network."""

    trigger_eps: PixelFraction
    """eps_t of the paper."""

    def initial_trigger(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Independent signs times eps_t."""
        return random_corners(shape, float(self.trigger_eps), generator)
