"""Noise at the corners of the budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trigger_activation.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor


def random_corners(shape: Sequence[int], eps: float, generator: Generator) -> Tensor:
    """Entries of +eps or -eps with equal probability, independent of each other."""
    positive = torch.randint(0, 2, tuple(shape), generator=generator, device=generator.device, dtype=torch.float32)
    return positive.mul_(2 * eps).sub_(eps)
