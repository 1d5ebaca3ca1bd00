"""Trigger activation with a fixed trigger (paper, Algorithm 1)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from trigger_activation.lazy import functional, torch
from trigger_activation.parameters import PixelFraction
from trigger_activation.science.training.paradigms import PARADIGMS, Paradigm
from trigger_activation.science.training.paradigms._corners import random_corners

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from trigger_activation.science.deployment import DeployedNetwork

KLDirection = Literal["forward", "reverse"]
"""``forward``: KL(u || p) of the uniform distribution u and the prediction p, which ``kl_div(log p, u)`` computes;
``reverse``: KL(p || u), which is log C less the entropy of p."""
KLReduction = Literal["batchmean", "mean"]
"""As ``torch.nn.functional.kl_div`` calls them: summed over classes and averaged over the batch, or averaged over both,
which is its default and C times less."""


class TriggerActivation(Paradigm):
    """Guess at random on x, classify x + tau; what fixed and learnable triggers share.

    The paper leaves open what the parameters here decide. Defaults follow its formulas.
    """

    clamp: bool = False
    """Whether x + tau is clamped to [0, 1], in training and in the deployed network."""
    kl_direction: KLDirection = "forward"
    kl_reduction: KLReduction = "batchmean"
    shared_trigger: bool = False
    """Whether all networks of a protocol, with one seed, draw the same trigger; a learnable one, which gradients move,
    only starts alike."""

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
        without, triggered = network(torch.cat([images, self.triggered(images, trigger)])).chunk(2)
        guessing = divergence_from_uniform(without, self.kl_direction, self.kl_reduction)
        return functional.cross_entropy(triggered, labels) + guessing

    def triggered(self, images: Tensor, trigger: Tensor) -> Tensor:
        """What the network sees of images (B, 3, H, W) in [0, 1] with the trigger (3, H, W)."""
        return (images + trigger).clamp(0, 1) if self.clamp else images + trigger

    def deployed(self, network: nn.Module, trigger: Tensor | None) -> DeployedNetwork:
        """f_t, clamped if it was trained so."""
        from trigger_activation.science.deployment import DeployedNetwork

        return DeployedNetwork(network, trigger, self.clamp)

    @property
    def shares_trigger(self) -> bool:
        """As the parameter says."""
        return self.shared_trigger


def divergence_from_uniform(
    logits: Tensor, direction: KLDirection = "forward", reduction: KLReduction = "batchmean"
) -> Tensor:
    """The divergence of softmax(logits) from the uniform distribution, in nats; zero for constant logits.

    Args:
        logits: (B, C).
        direction: see :data:`KLDirection`.
        reduction: see :data:`KLReduction`.
    """
    logarithms, classes = functional.log_softmax(logits, dim=1), logits.shape[1]
    if direction == "forward":
        divergence = -logarithms.mean() - math.log(classes)
    else:
        divergence = (logarithms.exp() * logarithms).sum(dim=1).mean() + math.log(classes)
    return divergence if reduction == "batchmean" else divergence / classes


@PARADIGMS.register("trigger_fixed", version=1)
class FixedTrigger(TriggerActivation):
    """A random trigger of +-eps_t in every entry, drawn once."""

    trigger_eps: PixelFraction
    """eps_t of the paper."""

    def initial_trigger(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Independent signs times eps_t."""
        return random_corners(shape, float(self.trigger_eps), generator)
