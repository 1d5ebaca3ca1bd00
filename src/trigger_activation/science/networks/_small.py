"""What the families share for small images, most of which a stem made for ImageNet would discard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from trigger_activation.lazy import torch

if TYPE_CHECKING:
    from torch import nn

LARGEST_SMALL_IMAGE = 64
"""Side in pixels up to which networks get the stem for small images."""


def is_small(image_size: int) -> bool:
    """Whether images of this side get the stem for small images."""
    return image_size <= LARGEST_SMALL_IMAGE


def small_stem(width: int, fan: Literal["fan_in", "fan_out"]) -> nn.Conv2d:
    """A 3 x 3 convolution of stride 1 from (B, 3, H, W) to (B, width, H, W), without bias.

    Args:
        width: number of output channels.
        fan: what scales the initial weights (He et al. 2015), as in the torchvision constructor.
    """
    convolution = torch.nn.Conv2d(3, width, kernel_size=3, padding=1, bias=False)
    torch.nn.init.kaiming_normal_(convolution.weight, mode=fan, nonlinearity="relu")
    return convolution
