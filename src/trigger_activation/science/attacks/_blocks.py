"""Images cut into strips and blocks that change places."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from trigger_activation.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor

HEIGHT_AND_WIDTH = (2, 3)


def strip_lengths(side: int, count: int, shortest: float, generator: Generator) -> list[int]:
    """Random lengths that add up to a side.

    Args:
        side: in pixels.
        count: number of strips.
        shortest: relative lengths are uniform in [shortest, shortest + 1). With 0 a strip may have no pixel.
        generator: source of randomness.
    """
    relative = shortest + torch.rand(count, generator=generator, device=generator.device).double()
    # The cuts are rounded, not the lengths: many strips of a small image could add up to more than its side.
    cuts = (relative.cumsum(0) / relative.sum() * side).round().long()
    return [int(length) for length in cuts.diff(prepend=cuts.new_zeros(1))]


def shuffle_blocks(
    images: Tensor,
    count: int,
    shortest: float,
    generator: Generator,
    change_strip: Callable[[Tensor], Tensor] = lambda strip: strip,
    change_block: Callable[[Tensor], Tensor] = lambda block: block,
) -> Tensor:
    """Cut images (B, 3, H, W) into strips along a random axis, each strip into blocks along the other; shuffle both.

    Args:
        images: all are cut and shuffled alike.
        count: strips of an image, and blocks of a strip.
        shortest: see :func:`strip_lengths`.
        generator: source of randomness.
        change_strip: applied to each strip before it is cut; keeps its shape.
        change_block: applied to each block; keeps its shape.
    """

    def shuffled(part: Tensor, axis: int) -> list[Tensor]:
        strips = torch.split(part, strip_lengths(part.shape[axis], count, shortest, generator), dim=axis)
        return [strips[i] for i in torch.randperm(count, generator=generator, device=generator.device).tolist()]

    swap = int(torch.randint(2, (1,), generator=generator, device=generator.device))
    first, second = HEIGHT_AND_WIDTH[swap], HEIGHT_AND_WIDTH[1 - swap]
    rows = [
        [change_block(block) for block in shuffled(change_strip(strip), second)] for strip in shuffled(images, first)
    ]
    return torch.cat([torch.cat(row, dim=second) for row in rows], dim=first)
