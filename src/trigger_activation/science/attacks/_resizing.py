"""Random resizing and padding, back to the size of the input."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trigger_activation.lazy import functional, torch

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Geometry(NamedTuple):
    """Where a resized image lies on its canvas, in pixels."""

    size: int
    canvas: int
    top: int
    left: int


def draw_geometry(smallest: int, canvas: int, generator: Generator) -> Geometry:
    """A size uniform in [smallest, canvas) and offsets uniform in [0, canvas - size)."""
    size = _integer(smallest, canvas, generator)
    return Geometry(size, canvas, _integer(0, canvas - size, generator), _integer(0, canvas - size, generator))


def diversify(images: Tensor, size: int, canvas: int, top: int, left: int) -> Tensor:
    """Resize (B, 3, H, H) to ``size``, zero-pad to ``canvas`` with the given offsets, resize back to H."""
    resized = functional.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    margins = (left, canvas - size - left, top, canvas - size - top)
    padded = functional.pad(resized, margins)
    return functional.interpolate(padded, size=images.shape[-2:], mode="bilinear", align_corners=False)


def _integer(low: int, high: int, generator: Generator) -> int:
    """A uniform integer in [low, high)."""
    return int(torch.randint(low, high, (1,), generator=generator, device=generator.device))
