"""Projected gradient descent with a random start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trigger_activation.lazy import torch
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks.engine import IterativeAttack

if TYPE_CHECKING:
    from torch import Generator, Tensor


@ATTACKS.register("pgd", version=1)
class PGD(IterativeAttack):
    """PGD (Madry et al. 2018; paper, Eq. 3-4): iterated signed gradients from uniform noise in the budget."""

    random_start: bool = True

    def start(self, images: Tensor, generator: Generator) -> Tensor:
        """Images plus noise from U(-eps, eps)."""
        if not self.random_start:
            return images
        noise = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)
        return images + (2 * noise - 1) * float(self.eps)
