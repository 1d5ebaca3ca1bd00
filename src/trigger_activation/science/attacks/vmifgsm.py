"""The variance-tuned momentum iterative fast gradient sign method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat

from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks._neighbours import NeighbourhoodAttack
from trigger_activation.science.attacks.engine import GradientRule, State

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@ATTACKS.register("vmifgsm", version=1)
class VMIFGSM(NeighbourhoodAttack):
    """VMI-FGSM (Wang & He 2021): MI-FGSM with the gradient corrected by its variance one step before."""

    radius: NonNegativeFloat = 1.5

    def gradient_rule(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> GradientRule:
        """The gradient plus the last variance: the mean gradient at random neighbours minus the gradient."""
        surroundings = self.surroundings(network, images, labels, generator)

        def rule(state: State) -> Tensor:
            gradient, around = surroundings(state.adversarial)
            variance = state.carried.get("variance", 0)
            state.carried["variance"] = around - gradient
            return gradient + variance

        return rule
