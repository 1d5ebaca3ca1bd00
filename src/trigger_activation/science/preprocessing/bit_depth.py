"""Bit-depth reduction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from trigger_activation.science.preprocessing import PREPROCESSING, Preprocessing

if TYPE_CHECKING:
    from torch import Tensor


@PREPROCESSING.register("bit_depth", version=1)
class BitDepth(Preprocessing):
    """Quantise each channel of each pixel to few levels (Xu et al. 2018)."""

    depth: Annotated[int, Field(ge=1, le=8)]
    """Bits d per channel."""
    mode: Literal["round_levels", "round_pow2", "floor_pow2"] = "floor_pow2"
    """``round_levels``: the nearest of 2^d levels from 0 to 1 (Xu et al.); ``round_pow2``: the nearest multiple of
    2^-d (Guo et al. 2018); ``floor_pow2``: the next multiple below, which darkens (earlier code of the paper's first
    author)."""

    def apply(self, images: Tensor, seeds: Sequence[int]) -> Tensor:  # noqa: ARG002
        """The quantised images."""
        steps: int = 2**self.depth - (self.mode == "round_levels")
        scaled = images * steps
        return (scaled.floor_() if self.mode == "floor_pow2" else scaled.round_()).div_(steps)
