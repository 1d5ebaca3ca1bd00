"""Random resizing and padding (R&P)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from trigger_activation.lazy import functional, torch
from trigger_activation.parameters import parse_fraction
from trigger_activation.science.preprocessing import PREPROCESSING, Preprocessing

if TYPE_CHECKING:
    from torch import Tensor


class Place(NamedTuple):
    """Where a resized image lies on its canvas, in pixels."""

    size: int
    top: int
    left: int


@PREPROCESSING.register("resize_pad", version=1)
class ResizePad(Preprocessing):
    """Enlarge at random and pad with zeros (Xie et al. 2018), one draw for each image."""

    random: ClassVar[bool] = True

    scale: Annotated[float, Field(ge=1)]
    """Side of the padded canvas over the side of the image."""
    interpolation: Literal["bilinear", "nearest"] = "bilinear"
    """Xie et al. take ``nearest``."""
    resize_back: bool = False
    """Whether the canvas is brought back to the size of the input."""

    def apply(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """Square images (B, 3, H, H) to (B, 3, S, S) with S = floor(H * scale), or to (B, 3, H, H)."""
        side = images.shape[-1]
        canvas = math.floor(side * parse_fraction(self.scale))
        places = [draw_place(side, canvas, seed) for seed in seeds]
        padded = images.new_zeros(*images.shape[:2], canvas, canvas)
        for size in {place.size for place in places}:
            rows = [row for row, place in enumerate(places) if place.size == size]
            # A view of a single image, for large ones seldom share a size.
            group = images[rows] if len(rows) > 1 else images[rows[0] :][:1]
            for row, image in zip(rows, self._resized(group, size), strict=True):
                _, top, left = places[row]
                padded[row, :, top : top + size, left : left + size] = image
        return self._resized(padded, side) if self.resize_back else padded

    def _resized(self, images: Tensor, side: int) -> Tensor:
        return functional.interpolate(images, size=(side, side), mode=self.interpolation)


def draw_place(side: int, canvas: int, seed: int) -> Place:
    """A size uniform in {side, ..., canvas}, and offsets uniform in {0, ..., canvas - size}."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
    size = side + int(shares[0] * (canvas - side + 1))
    top, left = (int(share * (canvas - size + 1)) for share in shares[1:])
    return Place(size, top, left)
