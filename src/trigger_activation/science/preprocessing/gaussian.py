"""The Gaussian filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import PositiveFloat, PositiveInt, field_validator

from trigger_activation.errors import UserError
from trigger_activation.lazy import functional, torch
from trigger_activation.science.preprocessing import PREPROCESSING, Preprocessing

if TYPE_CHECKING:
    from torch import Tensor


@PREPROCESSING.register("gaussian", version=1)
class Gaussian(Preprocessing):
    """Smooth with a normalised Gaussian cut off at a square window; images are mirrored at their border pixels."""

    sigma: PositiveFloat
    """Standard deviation in pixels, before the cut."""
    window: PositiveInt = 5
    """Side of the window in pixels."""

    @field_validator("window")
    @classmethod
    def _has_a_centre(cls, window: int) -> int:
        if window % 2 == 0:
            raise ValueError(f"a window of {window} pixels has no centre: give an odd number")
        return window

    def apply(self, images: Tensor, seeds: Sequence[int]) -> Tensor:  # noqa: ARG002
        """Filter along columns, then along rows.

        Raises:
            UserError: the images are too small to be mirrored half a window wide.
        """
        margin, channels = self.window // 2, images.shape[1]
        if min(images.shape[-2:]) <= margin:
            raise UserError(
                f"a window of {self.window} pixels is too wide for images of {images.shape[-2]} x {images.shape[-1]}: "
                "lower it"
            )
        filtered = mirrored(images, margin)
        for shape in ((-1, 1), (1, -1)):
            weights = self.weights().to(images).reshape(1, 1, *shape)
            filtered = functional.conv2d(filtered, weights.expand(channels, -1, -1, -1), groups=channels)
        return filtered.clamp_(max=1)

    def weights(self) -> Tensor:
        """The filter along one axis, (window,), with sum 1."""
        offsets = torch.arange(self.window, dtype=torch.float64) - self.window // 2
        weights = torch.exp(-((offsets / self.sigma) ** 2) / 2)
        return weights / weights.sum()


def mirrored(images: Tensor, margin: int) -> Tensor:
    """Images with margins that are mirrored at the border pixels, which are not repeated.

    The result has channels last, with which convolutions of single channels are several times faster, and copying
    whole rows and columns is faster than torch's reflect padding is then.
    """
    batch, channels, height, width = images.shape
    padded = images.new_empty(batch, height + 2 * margin, width + 2 * margin, channels).permute(0, 3, 1, 2)
    padded[..., margin : margin + height, margin : margin + width] = images
    for axis in (-1, -2):
        first, last = margin, padded.shape[axis] - 1 - margin
        for step in range(1, margin + 1):
            padded.select(axis, first - step).copy_(padded.select(axis, first + step))
            padded.select(axis, last + step).copy_(padded.select(axis, last - step))
    return padded
