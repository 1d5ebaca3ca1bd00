"""Training on noisy images: the control for trigger activation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trigger_activation.lazy import functional
from trigger_activation.parameters import PixelFraction
from trigger_activation.science.training.paradigms import PARADIGMS, Paradigm
from trigger_activation.science.training.paradigms._corners import random_corners

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@PARADIGMS.register("noise_augmentation", version=1)
class NoiseAugmentation(Paradigm):
    """Cross entropy on images with a fixed trigger's noise, drawn anew for each image and batch; deployed without.

    What it resists is owed to the noise alone, and no merit of a trigger that has the same magnitude.
    """

    noise_eps: PixelFraction
    """Magnitude of every entry of the noise, as eps_t is of the trigger; x + noise is not clipped either."""

    def loss(
        self, network: nn.Module, images: Tensor, labels: Tensor, trigger: Tensor | None, generator: Generator
    ) -> Tensor:
        """Mean cross entropy on the noisy images."""
        del trigger
        noise = random_corners(images.shape, float(self.noise_eps), generator)
        return functional.cross_entropy(network(images + noise), labels)
