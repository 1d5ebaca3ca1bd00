"""The neural representation purifier (NRP)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from trigger_activation.lazy import torch
from trigger_activation.science.preprocessing import PREPROCESSING, Purifier

if TYPE_CHECKING:
    from torch import Tensor

NOISE, EPS = 0.05, 16 / 255
"""Standard deviation of the dynamic version's noise, and the bound on its change of a pixel."""


@PREPROCESSING.register("nrp", version=1)
class NRP(Purifier):
    """Replace images by what NRP's generator makes of them (Naseer et al. 2020), at their own size."""

    helper_role: ClassVar[str | None] = "nrp_generator"

    dynamic: bool = False
    """Whether the generator sees images with noise, against attackers who know it."""

    @property
    def helper_calls(self) -> int:
        """One."""
        return 1

    def apply(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """The generator's images, clipped to [0, 1]."""
        purified: Tensor = self.helper(with_noise(images, seeds) if self.dynamic else images)
        return purified.clamp(0, 1)


def with_noise(images: Tensor, seeds: Sequence[int]) -> Tensor:
    """Images with Gaussian noise of each one's own seed, within 16/255 of what they were and in [0, 1]."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    noise = torch.stack([torch.randn(images.shape[1:], generator=generator) for generator in generators])
    return (images + (NOISE * noise).clamp_(-EPS, EPS).to(images)).clamp_(0, 1)
