"""Self-supervised perturbations (Naseer et al. 2020): adversarial images without labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from trigger_activation.lazy import functional, torch

if TYPE_CHECKING:
    from torch import Generator, Tensor


def self_supervised_perturbation(
    features: Callable[[Tensor], Tensor],
    images: Tensor,
    generator: Generator,
    eps: float,
    step_size: float,
    iterations: int,
) -> Tensor:
    """Images whose features are as far from those of the given ones as signed steps can bring them.

    The start is standard normal noise, projected; nearly all of its pixels are thus at an end of the budget. (The
    official code takes its first step before that projection.)

    Args:
        features: of images, (B, ...); each image's must not depend on the others.
        images: (B, 3, H, W) in [0, 1].
        generator: draws the start, on the images' device.
        eps: the largest change of a pixel.
        step_size: of each iteration.
        iterations: how many steps.

    Returns:
        (B, 3, H, W) in [0, 1], nowhere further than ``eps`` from ``images``.
    """
    lower, upper = (images - eps).clamp_(min=0), (images + eps).clamp_(max=1)
    with torch.no_grad():
        clean = features(images)
    perturbed = torch.empty_like(images).normal_(generator=generator).clamp_(lower, upper)
    for _ in range(iterations):
        perturbed.requires_grad_()
        distance = functional.mse_loss(features(perturbed), clean, reduction="sum")
        (gradient,) = torch.autograd.grad(distance, perturbed)
        perturbed = gradient.sign_().mul_(step_size).add_(perturbed.detach()).clamp_(lower, upper)
    return perturbed
