"""Adversarial training with PGD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveInt

from trigger_activation.lazy import functional
from trigger_activation.parameters import PixelFraction
from trigger_activation.science.attacks.pgd import PGD
from trigger_activation.science.training.paradigms import PARADIGMS, Paradigm

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@PARADIGMS.register("adversarial", version=1)
class AdversarialTraining(Paradigm):
    """PGD-AT (Madry et al. 2018): cross entropy on images crafted against the network as it is now.

    Images are crafted in evaluation mode with frozen parameters, which costs two thirds of crafting with parameter
    gradients and leaves the running statistics alone.
    """

    components = (PGD,)

    eps: PixelFraction
    steps: PositiveInt = 10
    step_size: PixelFraction

    @property
    def passes(self) -> float:
        """Forward and back to the images at each step, then the training pass."""
        return 1 + self.steps * 2 / 3

    def loss(
        self, network: nn.Module, images: Tensor, labels: Tensor, trigger: Tensor | None, generator: Generator
    ) -> Tensor:
        """Mean cross entropy on PGD images."""
        del trigger
        attack = PGD(eps=self.eps, steps=self.steps, step_size=self.step_size)
        return functional.cross_entropy(network(attack.perturb(network, images, labels, generator)), labels)
