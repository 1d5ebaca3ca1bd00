"""The generators of NRP (Naseer et al. 2020), which map images to images of the same size.

Modules have the names of the official code (github.com/Muzammal-Naseer/NRP), so that its files load as they are.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

SCALE = 0.2
"""What the result of a dense block, and of a group of them, is multiplied by before it is added to their input."""


def full_generator(channels: int = 64, blocks: int = 23, growth: int = 32) -> nn.Module:
    """A freshly initialised generator of residual groups of dense blocks (RRDB); 16,550,275 parameters by default.

    Args:
        channels: between the blocks.
        blocks: groups of three dense blocks.
        growth: channels that a convolution in a dense block adds.

    Returns:
        A map of images (B, 3, H, W) to images (B, 3, H, W), for inputs in [0, 1] about in [0, 1]. No skip leads around
        its blocks.
    """
    trunk = [dense_group(channels, growth) for _ in range(blocks)]
    return nn.Sequential(
        OrderedDict(
            conv_first=convolution(3, channels),
            RRDB_trunk=nn.Sequential(*trunk),
            trunk_conv=convolution(channels, 3),
        )
    )


def light_generator(channels: int = 64, blocks: int = 23) -> nn.Module:
    """Like :func:`full_generator`, of plain residual blocks (the official ``NRP_resG``); 1,702,211 parameters."""
    trunk = [residual_block(channels) for _ in range(blocks)]
    return nn.Sequential(
        OrderedDict(
            conv_first=convolution(3, channels),
            lrelu=nn.LeakyReLU(0.1, inplace=True),
            recon_trunk=nn.Sequential(*trunk),
            conv_last=convolution(channels, 3),
        )
    )


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees the block's input and the results of all before it."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        for position, outputs in enumerate([growth] * 4 + [channels]):
            self.add_module(f"conv{position + 1}", convolution(channels + position * growth, outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, channels, H, W) to the same shape."""
        *inner, last = self.children()
        seen = inputs
        for module in inner:
            seen = torch.cat([seen, functional.leaky_relu(module(seen), 0.2, inplace=True)], dim=1)
        return inputs.add(last(seen), alpha=SCALE)


class Residual(nn.Sequential):
    """Modules in a row, and a skip around them."""

    def __init__(self, modules: OrderedDict[str, nn.Module], scale: float) -> None:
        super().__init__(modules)
        self.scale = scale

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, channels, H, W) to the same shape."""
        return inputs.add(super().forward(inputs), alpha=self.scale)  # type: ignore[no-untyped-call]


def dense_group(channels: int, growth: int) -> Residual:
    """Three dense blocks."""
    return Residual(OrderedDict((f"RDB{number}", DenseBlock(channels, growth)) for number in (1, 2, 3)), SCALE)


def residual_block(channels: int) -> Residual:
    """Two convolutions without normalisation, at first so small that the block is nearly the identity."""
    first, second = convolution(channels, channels), convolution(channels, channels)
    for module in (first, second):
        nn.init.kaiming_normal_(module.weight)
        module.weight.data.mul_(0.1)
        nn.init.zeros_(cast("Tensor", module.bias))
    return Residual(OrderedDict(conv1=first, relu=nn.ReLU(inplace=True), conv2=second), 1.0)
