"""The diverse-input fast gradient sign method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from trigger_activation.lazy import torch
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks._resizing import Geometry, diversify, draw_geometry
from trigger_activation.science.attacks.engine import GradientRule, IterativeAttack, Momentum, State, input_gradient

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@ATTACKS.register("difgsm", version=1)
class DIFGSM(IterativeAttack):
    """DI-FGSM (Xie et al. 2019): gradients at randomly resized and padded copies of the size of the input.

    Momentum and the resize back follow the practice of later transfer attacks; ``momentum: 0`` gives the first
    paper's DI2-FGSM, and a rate of 0.9 the toolkits' variant, which shrinks images and pads them to their old size.
    """

    momentum: Momentum = 1.0
    rate: Annotated[float, Field(gt=0)] = 1.1
    """Above 1: side of the padded canvas over the side of the image; below 1: smallest size of the image over it."""
    probability: Annotated[float, Field(ge=0, le=1)] = 0.5

    @field_validator("rate")
    @classmethod
    def _changes_the_size(cls, rate: float) -> float:
        if rate == 1:
            raise ValueError("a rate of 1 changes nothing: to leave images as they are, set probability to 0")
        return rate

    def geometries(self, side: int) -> int:
        """How many different copies an image of this side in pixels can become, beside the image itself."""
        smallest, canvas = self._sizes(side)
        return sum((canvas - size) ** 2 for size in range(smallest, canvas))

    def gradient_rule(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> GradientRule:
        """The cross-entropy gradient through a transform drawn anew for each iteration and batch."""
        del images

        def rule(state: State) -> Tensor:
            geometry = self._draw(state.adversarial.shape[-1], generator)
            if geometry is None:
                return input_gradient(network, state.adversarial, labels)
            return input_gradient(network, state.adversarial, labels, lambda source: diversify(source, *geometry))

        return rule

    def _draw(self, side: int, generator: Generator) -> Geometry | None:
        smallest, canvas = self._sizes(side)
        if smallest == canvas or float(torch.rand(1, generator=generator, device=generator.device)) >= self.probability:
            return None
        return draw_geometry(smallest, canvas, generator)

    def _sizes(self, side: int) -> tuple[int, int]:
        """Of the smallest resized image and of the canvas."""
        other = max(1, int(side * self.rate))
        return min(side, other), max(side, other)
