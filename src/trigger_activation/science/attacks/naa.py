"""The neuron attribution-based attack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeFloat, PositiveInt

from trigger_activation.lazy import torch
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks._features import FeatureAttack, Score

if TYPE_CHECKING:
    from torch import Generator, Tensor


@ATTACKS.register("naa", version=1)
class NAA(FeatureAttack):
    """NAA (Zhang et al. 2022): features weighted by their attribution along the path from a black image.

    Positive and negative attributions count alike (gamma = 1). The features of the black image, which the attribution
    subtracts, do not depend on the adversarial image and drop out of its gradient.
    """

    score: Score = "probability"
    path_points: PositiveInt = 30
    path_end: Literal["image", "black"] = "image"
    """Which end of the path is one of its points; the official code takes the image, some toolkits black."""
    noise: NonNegativeFloat = 0.0
    """Standard deviation of noise on the path in [0, 1] pixels, added after the image is darkened; the official code
    adds 0.1 on Inception's scale before it is.
    """

    @property
    def passes(self) -> float:
        """One for each point of the path, then one for each step."""
        return self.path_points + self.steps

    def altered(self, images: Tensor, generator: Generator) -> Iterator[Tensor]:
        """Darker copies, from the image to the last one before black, or from black to the last before the image."""
        for point in range(self.path_points):
            brightness = point / self.path_points
            copy = images * (1 - brightness if self.path_end == "image" else brightness)
            if self.noise:
                copy += torch.empty_like(images).normal_(0, self.noise, generator=generator)
            yield copy
