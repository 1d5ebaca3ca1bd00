"""TDAT: fast adversarial training against catastrophic overfitting (Tong et al. 2024)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from trigger_activation.lazy import functional, torch
from trigger_activation.parameters import PixelFraction
from trigger_activation.science.training.paradigms import PARADIGMS, Paradigm
from trigger_activation.science.training.paradigms._corners import random_corners

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from trigger_activation.science.training.paradigms import BatchLoss

GAMMA_SCALE = 0.6
"""Factor of the tangent that gamma follows."""
OLD_SHARE = 0.75
"""Weight of the carried perturbation in the moving average."""
PERTURBATION = "perturbation"
"""What a training carries along: perturbations (B, 3, H, W) of the places in a batch, not of images."""


@PARADIGMS.register("tdat", version=1)
class TDAT(Paradigm):
    """One signed step of size eps from the last batch's perturbation, with labels that relax as training goes on.

    Both forward passes are in training mode and move the running statistics, as in the authors' code. The step ascends
    the loss of relaxed labels, and a penalty keeps the logits before and after it together where the network is unsure.
    """

    eps: PixelFraction
    gamma_min: Annotated[float, Field(ge=0, le=1)]
    """Floor of gamma, the probability of the true class in the relaxed labels."""
    regularisation: Annotated[float, Field(ge=0)]
    """Weight lambda of the penalty."""
    momentum: Literal["official", "intended"] = "official"
    """What the next batch starts from: ``official``, this batch's perturbation, since the authors' code overwrites the
    moving average of the paper; ``intended``, that average."""

    @property
    def passes(self) -> float:
        """Two training passes, and one backward pass to the images."""
        return 2 + 1 / 3

    def losses(self, epochs: int, carried: dict[str, Tensor]) -> Iterator[BatchLoss]:
        """The loss with each epoch's gamma and the perturbation that the training carries along."""
        for epoch in range(epochs):
            yield partial(self._loss, carried, self.gamma(epoch / epochs))

    def loss(
        self, network: nn.Module, images: Tensor, labels: Tensor, trigger: Tensor | None, generator: Generator
    ) -> Tensor:
        """The loss of the first batch of a training."""
        return self._loss({}, self.gamma(0), network, images, labels, trigger, generator)

    def gamma(self, elapsed: float) -> float:
        """max(0.6 tan(1 - e/E), gamma_min) after a share e/E of the epochs."""
        return max(GAMMA_SCALE * math.tan(1 - elapsed), self.gamma_min)

    def _loss(
        self,
        carried: dict[str, Tensor],
        gamma: float,
        network: nn.Module,
        images: Tensor,
        labels: Tensor,
        trigger: Tensor | None,
        generator: Generator,
    ) -> Tensor:
        """CE(f(x + delta), y) with smoothed labels, and the penalty; the next perturbation is carried along."""
        del trigger
        start = carried.get(PERTURBATION)
        if start is None:
            start = random_corners(images.shape, float(self.eps), generator)
        variable = start.detach().requires_grad_()
        before = network(images + variable)
        relaxed = relaxed_labels(labels, before.shape[1], gamma)
        ascended = functional.cross_entropy(before, relaxed, reduction="sum")
        (gradient,) = torch.autograd.grad(ascended, variable, retain_graph=True)
        delta = self.projected(gradient.sign_().mul_(float(self.eps)).add_(start), images)
        carried[PERTURBATION] = self.carried_on(start, delta, images)
        after = network(images + delta)
        smoothed = functional.cross_entropy(after, labels, label_smoothing=1 - gamma)
        return smoothed + self.regularisation * penalty(before, after, labels)

    def projected(self, perturbation: Tensor, images: Tensor) -> Tensor:
        """Clipped to the budget, and so that the perturbed images are in [0, 1]."""
        eps = float(self.eps)
        return perturbation.clamp((-images).clamp_(min=-eps), (1 - images).clamp_(max=eps))

    def carried_on(self, start: Tensor, delta: Tensor, images: Tensor) -> Tensor:
        """What the next batch starts from."""
        if self.momentum == "official":
            return delta
        return self.projected(OLD_SHARE * start + (1 - OLD_SHARE) * delta, images)


def relaxed_labels(labels: Tensor, classes: int, gamma: float) -> Tensor:
    """Distributions (B, classes): gamma for the true class, the rest shared equally by the others."""
    others = torch.full((len(labels), classes), (1 - gamma) / (classes - 1), device=labels.device)
    return others.scatter_(1, labels[:, None], gamma)


def penalty(before: Tensor, after: Tensor, labels: Tensor) -> Tensor:
    """Squared distance of logits (B, C), averaged with weights tanh(1 - p), p the true class's probability before.

    Gradients flow through all of it; the 1 is the authors' 1.0000001, which keeps weights positive.
    """
    probability = before.softmax(dim=1).gather(1, labels[:, None]).squeeze(1)
    distance = (before - after).square().sum(dim=1)
    return (distance * torch.tanh(1.0000001 - probability)).mean()
