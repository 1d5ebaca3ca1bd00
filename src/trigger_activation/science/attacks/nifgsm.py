"""The Nesterov iterative fast gradient sign method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks.engine import GradientRule, input_gradient
from trigger_activation.science.attacks.mifgsm import MIFGSM

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@ATTACKS.register("nifgsm", version=1)
class NIFGSM(MIFGSM):
    """NI-FGSM (Lin et al. 2020): MI-FGSM with the gradient from where the momentum alone would take the image."""

    def gradient_rule(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> GradientRule:
        """The cross-entropy gradient at x + alpha * momentum * velocity, in the pixel range or not."""
        del images, generator
        ahead = self.alpha * self.momentum
        return lambda state: input_gradient(network, state.adversarial + ahead * state.velocity, labels)
