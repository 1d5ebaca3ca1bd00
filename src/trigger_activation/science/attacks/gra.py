"""The gradient relevance attack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, NonNegativeFloat

from trigger_activation.lazy import torch
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks._neighbours import NeighbourhoodAttack
from trigger_activation.science.attacks.engine import GradientRule, State

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@ATTACKS.register("gra", version=1)
class GRA(NeighbourhoodAttack):
    """GRA (Zhu et al. 2023): the gradient blended with its neighbourhood's, and smaller steps where a sign flips."""

    radius: NonNegativeFloat = 3.5
    decay: Annotated[float, Field(gt=0, le=1)] = 0.94
    """Factor on the step of a pixel whose direction flips; eta in the paper."""

    def gradient_rule(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> GradientRule:
        """The gradient and the mean gradient at random neighbours, blended by their cosine."""
        surroundings = self.surroundings(network, images, labels, generator)
        return lambda state: blend(*surroundings(state.adversarial))

    def step(self, state: State, gradient: Tensor) -> Tensor:
        """Signed steps, each pixel's shrunk whenever the sign of its momentum changes.

        Sizes start at alpha / decay, since the first step counts as a change from a momentum of zero.
        """
        sizes = state.carried.get("sizes", torch.full_like(state.adversarial, self.alpha / self.decay))
        before = state.velocity.sign()
        state.velocity = self.accumulate(state.velocity, gradient)
        signs = state.velocity.sign()
        state.carried["sizes"] = sizes.where(signs == before, sizes * self.decay)
        return state.carried["sizes"] * signs


def blend(gradient: Tensor, around: Tensor) -> Tensor:
    """``s * gradient + (1 - s) * around``, where s is their cosine for each image, 1 if either is zero."""
    # In single precision the squares of a saturated prediction's gradient underflow.
    own, mean = gradient.flatten(1).double(), around.flatten(1).double()
    norms = own.norm(dim=1) * mean.norm(dim=1)
    cosines = ((own * mean).sum(dim=1) / norms).where(norms > 0, 1).to(gradient)
    return torch.lerp(around, gradient, cosines.view(-1, 1, 1, 1))
