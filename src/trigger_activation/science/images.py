"""Images as bytes and as floats."""

from __future__ import annotations

import torch
from torch import Tensor


def to_float(images: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in [0, 1], channels last in memory."""
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(255)


def to_bytes(images: Tensor) -> Tensor:
    """[0, 1] floats (B, 3, H, W) to uint8 (B, H, W, 3), rounded to nearest so that the budget is kept."""
    return (images * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def middle(images: Tensor, side: int) -> Tensor:
    """The middle (N, side, side, 3) of images (N, H, H, 3), as a view: what torchvision's CenterCrop cuts out."""
    margin = round((images.shape[1] - side) / 2)
    return images[:, margin : margin + side, margin : margin + side]


def largest_change(adversarial: Tensor, clean: Tensor) -> int:
    """The largest difference of two uint8 image tensors, in grey levels."""
    return int((adversarial.to(torch.int16) - clean.to(torch.int16)).abs().max())
