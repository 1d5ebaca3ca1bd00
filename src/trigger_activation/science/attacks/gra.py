"""The gradient relevance attack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, NonNegativeFloat, PositiveInt

from trigger_activation.lazy import torch
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks._copies import CopyingAttack, in_chunks, losses_and_gradients, summed
from trigger_activation.science.attacks.engine import GradientRule, StepRule

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@ATTACKS.register("gra", version=1)
class GRA(CopyingAttack):
    """GRA (Zhu et al. 2023): the gradient blended with its neighbourhood's, and smaller steps where a sign flips."""

    neighbours: PositiveInt = 20
    radius: NonNegativeFloat = 3.5
    """Half the side of the neighbourhood, in multiples of the budget; beta in the paper."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.94
    """Factor on the step of a pixel whose direction flips; eta in the paper."""

    @property
    def passes(self) -> float:
        """At each step one for the image and one for each neighbour."""
        return self.steps * (1 + self.neighbours)

    def gradient_rule(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> GradientRule:
        """The gradient and the mean gradient at random neighbours, blended by their cosine."""
        at_once = self.images_at_once(network, images)
        reach = self.radius * float(self.eps)

        def neighbours(adversarial: Tensor) -> Iterator[Tensor]:
            for _ in range(self.neighbours):
                noise = torch.empty_like(adversarial).uniform_(-reach, reach, generator=generator)
                yield noise.add_(adversarial)

        def total(copies: Iterable[Tensor]) -> Tensor:
            evaluated = in_chunks(partial(losses_and_gradients, network), copies, labels, at_once)
            return summed(gradient for _, gradient in evaluated)

        def rule(adversarial: Tensor) -> Tensor:
            return blend(total([adversarial]), total(neighbours(adversarial)) / self.neighbours)

        return rule

    def step_rule(self, images: Tensor) -> StepRule:
        """Signed steps, each pixel's shrunk whenever the sign of its momentum changes.

        Sizes start at alpha / decay, since the first step counts as a change from a momentum of zero.
        """
        velocity, sizes = torch.zeros_like(images), torch.full_like(images, self.alpha / self.decay)

        def step(gradient: Tensor) -> Tensor:
            nonlocal velocity, sizes
            before = velocity.sign()
            velocity = self.accumulate(velocity, gradient)
            signs = velocity.sign()
            sizes = sizes.where(signs == before, sizes * self.decay)
            return sizes * signs

        return step


def blend(gradient: Tensor, around: Tensor) -> Tensor:
    """``s * gradient + (1 - s) * around``, where s is their cosine for each image, 1 if either is zero."""
    # In single precision the squares of a saturated prediction's gradient underflow.
    own, mean = gradient.flatten(1).double(), around.flatten(1).double()
    norms = own.norm(dim=1) * mean.norm(dim=1)
    cosines = ((own * mean).sum(dim=1) / norms).where(norms > 0, 1).to(gradient)
    return torch.lerp(around, gradient, cosines.view(-1, 1, 1, 1))
