"""Training on adversarial images of other networks: the natural competitor of a defense against transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveInt

from trigger_activation.lazy import functional, torch
from trigger_activation.parameters import PixelFraction
from trigger_activation.science.attacks.pgd import PGD
from trigger_activation.science.training.paradigms import PARADIGMS, SurrogateParadigm

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@PARADIGMS.register("ensemble_adversarial", version=1)
class EnsembleAdversarialTraining(SurrogateParadigm):
    """Ensemble adversarial training (Tramer et al. 2018): clean images, and adversarial ones of several networks.

    Each batch has its network: one of the static networks or, as in that paper, the trained one as it is now, in
    evaluation mode and frozen, as in adversarial training here. PubDef (Sitawarin et al. 2024) trains on images that
    transfer from public networks in the same spirit.
    """

    components = (PGD,)

    eps: PixelFraction
    steps: PositiveInt = 1
    step_size: PixelFraction | Literal["eps/steps"] = "eps/steps"
    random_start: bool = False
    """Whether crafting starts from noise within the budget; with one step and without noise it is FGSM."""
    itself: bool = True
    """Whether the trained network is one of those that images are crafted on."""
    clean_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Weight of the clean images."""

    @property
    def passes(self) -> float:
        """Crafting, as if each network cost what the trained one does, and training passes on both sorts of images."""
        return (2 if self.clean_share else 1) + self.steps * 2 / 3

    def loss(
        self, network: nn.Module, images: Tensor, labels: Tensor, trigger: Tensor | None, generator: Generator
    ) -> Tensor:
        """Cross entropy on clean and on crafted images, weighted; one pass, so that batch normalisation sees both.

        Raises:
            ValueError: there is no network to craft on.
        """
        del trigger
        attack = PGD(eps=self.eps, steps=self.steps, step_size=self.step_size, random_start=self.random_start)
        crafted = attack.perturb(self._source(network, generator), images, labels, generator)
        if self.clean_share == 0:
            return functional.cross_entropy(network(crafted), labels)
        clean, adversarial = (
            functional.cross_entropy(logits, labels) for logits in network(torch.cat([images, crafted])).chunk(2)
        )
        return self.clean_share * clean + (1 - self.clean_share) * adversarial

    def _source(self, network: nn.Module, generator: Generator) -> nn.Module:
        """The network that a batch is crafted on, each with equal probability."""
        sources = [*self.surrogates, *([network] if self.itself else [])]
        if not sources:
            raise ValueError(f"{self.registered_name} needs networks to craft on: give it some by with_surrogates")
        place = torch.randint(len(sources), (), generator=generator, device=generator.device) if sources[1:] else 0
        return sources[int(place)]
