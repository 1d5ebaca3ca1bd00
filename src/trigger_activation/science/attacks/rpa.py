"""The random patch attack."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, PositiveInt

from trigger_activation.lazy import functional, torch
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks._features import FeatureAttack, Score

if TYPE_CHECKING:
    from torch import Generator, Tensor


@ATTACKS.register("rpa", version=1)
class RPA(FeatureAttack):
    """RPA (Zhang et al. 2022): features weighted by their mean gradient over copies with randomly damaged patches."""

    score: Score = "logit"
    copies: PositiveInt = 60
    keep: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Share of the patches that stay as they are."""
    patch_sizes: Annotated[tuple[PositiveInt, ...], Field(strict=False, min_length=1)] = (1, 3, 5, 7)
    """Sides of the patches in pixels, in turn; [1] is what the official code comes to."""

    @property
    def passes(self) -> float:
        """One for each damaged copy, then one for each step."""
        return self.copies + self.steps

    def altered(self, images: Tensor, generator: Generator) -> Iterator[Tensor]:
        """Images times masks; copy l has patches of the l-th size, counted around."""
        for copy in range(self.copies):
            yield images * self.mask(images, self.patch_sizes[copy % len(self.patch_sizes)], generator)

    def mask(self, images: Tensor, size: int, generator: Generator) -> Tensor:
        """Factors (B, 3, H, W): uniform in [0, 1) inside damaged patches, 1 elsewhere."""
        factors = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)
        return factors.where(self._damaged(images, size, generator), 1)

    def _damaged(self, images: Tensor, size: int, generator: Generator) -> Tensor:
        if size == 1:
            chance = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)
            return chance >= self.keep
        channels, height, width = images.shape[1:]
        grid = torch.zeros(channels, height // size, width // size, dtype=torch.bool, device=images.device)
        order = torch.randperm(grid.numel(), generator=generator, device=images.device)
        # Exactly so many, where a product of binary fractions could round to one less.
        count = math.floor((1 - Fraction(str(self.keep))) * grid.numel())
        grid.view(-1)[order[:count]] = True
        patches = grid.repeat_interleave(size, dim=1).repeat_interleave(size, dim=2)
        # Rows and columns beyond the last whole patch are never damaged.
        return functional.pad(patches, (0, width - patches.shape[2], 0, height - patches.shape[1]))
