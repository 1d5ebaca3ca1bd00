"""JPEG compression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trigger_activation.lazy import torch
from trigger_activation.science.preprocessing import PREPROCESSING, Preprocessing

if TYPE_CHECKING:
    from torch import Tensor


@PREPROCESSING.register("jpeg", version=1)
class JPEG(Preprocessing):
    """Encode and decode as baseline JPEG (Guo et al. 2018), byte for byte as Pillow does by default.

    The colours are subsampled 4:2:0, so that a 32 px image keeps 16 x 16 of them. torchvision drives the same codec
    as Pillow with a third of its overhead for small images; a test compares the two.
    """

    quality: Annotated[int, Field(ge=1, le=100)]

    def apply(self, images: Tensor, seeds: Sequence[int]) -> Tensor:  # noqa: ARG002
        """Round to grey levels, compress and decompress on the CPU."""
        from torchvision.transforms.v2.functional import jpeg  # type: ignore[attr-defined]

        levels = (images * 255).round_().to("cpu", torch.uint8)
        # Channels last is the order of the codec, which would otherwise reorder image by image.
        compressed = jpeg(levels.contiguous(memory_format=torch.channels_last), self.quality)
        return compressed.to(images).div_(255)
