"""The diverse-input fast gradient sign method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trigger_activation.attacks import ATTACKS
from trigger_activation.attacks._engine import GradientRule, IterativeAttack, Momentum, input_gradient
from trigger_activation.lazy import functional, torch

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@ATTACKS.register("difgsm", version=1)
class DIFGSM(IterativeAttack):
    """DI-FGSM (Xie et al. 2019): gradients at randomly enlarged and padded copies, resized back to the input size.

    Momentum and the resize back follow the practice of later transfer attacks; ``momentum: 0`` gives the first
    paper's DI2-FGSM.
    """

    momentum: Momentum = 1.0
    rate: Annotated[float, Field(gt=1)] = 1.1
    """Side of the padded canvas over the side of the image."""
    probability: Annotated[float, Field(ge=0, le=1)] = 0.5

    def gradient_rule(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> GradientRule:
        """The cross-entropy gradient through a transform drawn anew for each iteration and batch."""
        del images

        def rule(adversarial: Tensor) -> Tensor:
            geometry = self._draw(adversarial.shape[-1], generator)
            if geometry is None:
                return input_gradient(network, adversarial, labels)
            source = adversarial.detach().requires_grad_()
            loss = functional.cross_entropy(network(diversify(source, *geometry)), labels, reduction="sum")
            return torch.autograd.grad(loss, source)[0]

        return rule

    def _draw(self, side: int, generator: Generator) -> tuple[int, int, int, int] | None:
        canvas = int(side * self.rate)
        if canvas <= side or float(torch.rand(1, generator=generator, device=generator.device)) >= self.probability:
            return None
        size = _integer(side, canvas, generator)
        return size, canvas, _integer(0, canvas - size, generator), _integer(0, canvas - size, generator)


def diversify(images: Tensor, size: int, canvas: int, top: int, left: int) -> Tensor:
    """Resize (B, 3, H, H) to ``size``, zero-pad to ``canvas`` with the given offsets, resize back to H."""
    resized = functional.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    margins = (left, canvas - size - left, top, canvas - size - top)
    padded = functional.pad(resized, margins)
    return functional.interpolate(padded, size=images.shape[-2:], mode="bilinear", align_corners=False)


def _integer(low: int, high: int, generator: Generator) -> int:
    """A uniform integer in [low, high)."""
    return int(torch.randint(low, high, (1,), generator=generator, device=generator.device))
