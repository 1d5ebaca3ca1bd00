"""Attacks that look around: at random neighbours of the adversarial images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveInt

from trigger_activation.lazy import torch
from trigger_activation.science.attacks._copies import CopyingAttack, in_chunks, losses_and_gradients, summed

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

Surroundings = Callable[["Tensor"], tuple["Tensor", "Tensor"]]
"""Images (B, 3, H, W) -> their gradients and the mean gradients at their neighbours, both of the same shape."""


class NeighbourhoodAttack(CopyingAttack):
    """An iterative attack that averages over uniform neighbours of the images, which may leave the pixel range."""

    neighbours: PositiveInt = 20
    radius: NonNegativeFloat
    """Half the side of the neighbourhood, in multiples of the budget; beta in the papers."""

    @property
    def passes(self) -> float:
        """At each step one for the image and one for each neighbour."""
        return self.steps * (1 + self.neighbours)

    def surroundings(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> Surroundings:
        """The gradients of the cross entropy at images and around them, for one batch; neighbours are drawn anew."""
        at_once = self.images_at_once(network, images)
        reach = self.radius * float(self.eps)

        def neighbours(adversarial: Tensor) -> Iterator[Tensor]:
            for _ in range(self.neighbours):
                noise = torch.empty_like(adversarial).uniform_(-reach, reach, generator=generator)
                yield noise.add_(adversarial)

        def total(copies: Iterable[Tensor]) -> Tensor:
            evaluated = in_chunks(partial(losses_and_gradients, network), copies, labels, at_once)
            return summed(gradient for _, gradient in evaluated)

        return lambda adversarial: (total([adversarial]), total(neighbours(adversarial)) / self.neighbours)
