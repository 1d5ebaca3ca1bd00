"""Attacks on networks that answer at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveInt

from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks._copies import summed
from trigger_activation.science.attacks.engine import GradientRule, input_gradient
from trigger_activation.science.attacks.pgd import PGD

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@ATTACKS.register("eot", version=1)
class EOT(PGD):
    """PGD over the expectation of random answers (Athalye et al. 2018): the mean gradient of several passes.

    On a network that always answers alike it is PGD.
    """

    draws: PositiveInt = 20
    """Passes at each step, each with its own randomness of the network."""

    @property
    def passes(self) -> float:
        """At each step one for each draw."""
        return self.steps * self.draws

    def gradient_rule(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> GradientRule:
        """The mean gradient of the cross entropy over the network's draws."""
        del images, generator
        return lambda state: (
            summed(input_gradient(network, state.adversarial, labels) for _ in range(self.draws)) / self.draws
        )
