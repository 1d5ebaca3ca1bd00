"""The score network of the variance-preserving SDE (Song et al. 2021) for CIFAR-10 as a UNet2DModel of diffusers.

The official network is ``ncsnpp`` of github.com/yang-song/score_sde_pytorch as vp/cifar10_ddpmpp_deep_continuous
configures it. It numbers all its modules (``all_modules``) in the order in which they run. Its file holds the state of
a training run, of which the moving average of the weights is what counts: a list without names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from trigger_activation.lazy import torch
from trigger_activation.science.helpers._official import named_tensors, refuse_misfits, resampling_unet, sequences

if TYPE_CHECKING:
    from diffusers import UNet2DModel
    from torch import Tensor

PARTS = {
    "norm1": "GroupNorm_0",
    "conv1": "Conv_0",
    "time_emb_proj": "Dense_0",
    "norm2": "GroupNorm_1",
    "conv2": "Conv_1",
    "conv_shortcut": "Conv_2",
    "group_norm": "GroupNorm_0",
    "to_q": "NIN_0",
    "to_k": "NIN_1",
    "to_v": "NIN_2",
    "to_out.0": "NIN_3",
}
"""The parts of residual and of attention blocks, from names of diffusers to official names."""

LINEAR = {"weight": "W", "bias": "b"}
"""The tensors of an official ``NIN``; its ``W`` is (inputs, outputs) and square, the transpose of ``weight``."""


def build_unet(
    channels: int = 128,
    multipliers: Sequence[int] = (1, 2, 2, 2),
    blocks_per_level: int = 8,
    attention_levels: Sequence[int] = (1,),
) -> UNet2DModel:
    """A freshly initialised network (torch's global generator), by default as large as checkpoint_8.pth.

    It maps images (B, 3, H, W) in [-1, 1] and times (B,), 999 t with t in [0, 1], to the predicted noise (B, 3, H, W):
    minus the score times the noise's standard deviation. H and W are multiples of 2 ** (levels - 1).

    Args:
        channels: width of the first level, a multiple of 32 from 128 on (below, official groups are fewer than 32).
        multipliers: width of each level in multiples of ``channels``, the finest first; that one is 1.
        blocks_per_level: residual blocks per level of the way down; the way up has one more.
        attention_levels: levels with attention, the finest is 0; the middle always has it. At 32 px level 1 has sides
            of 16 px.
    """
    unet = resampling_unet(
        channels,
        multipliers,
        blocks_per_level,
        attention_levels,
        attention_head_dim=None,  # one head
        norm_eps=1e-6,
        flip_sin_to_cos=False,  # sin first
        freq_shift=1,
    )
    _make_official(unet)
    unet.continuous_time = True
    return unet


def _make_official(unet: UNet2DModel) -> None:
    """What no setting of diffusers gives: sums over sqrt 2, convolutions beside resampling, less attention."""
    from diffusers.models.attention_processor import Attention
    from diffusers.models.resnet import ResnetBlock2D

    for block in list(unet.modules()):
        if isinstance(block, Attention):
            block.rescale_output_factor = math.sqrt(2)
        if isinstance(block, ResnetBlock2D):
            block.output_scale_factor = math.sqrt(2)
            if block.up or block.down:
                block.conv_shortcut = torch.nn.Conv2d(block.in_channels, block.out_channels, 1)
    for level in unet.up_blocks:
        for index in range(len(getattr(level, "attentions", ())) - 1):
            level.attentions[index] = torch.nn.Identity()  # On the way up only the last block of a level has attention.


def averaged_weights(content: object) -> dict[str, Tensor]:
    """The moving averages of the weights in an official file, under the official names.

    Raises:
        ValueError: it is no file of such a training run.
    """
    match content:
        case {"model": dict(model), "ema": {"shadow_params": list(averages)}}:
            # ``sigmas`` is no weight but a buffer, the noise levels of another SDE.
            names = [name.removeprefix("module.") for name in named_tensors(model) if name != "module.sigmas"]
        case _:
            raise ValueError("it holds no `model` with averages of its weights in `ema`")
    if len(names) != len(averages):
        raise ValueError(f"its model has {len(names)} weights, but it holds averages of {len(averages)}")
    return named_tensors(dict(zip(names, averages, strict=True)))


def from_official(state: Mapping[str, Tensor], unet: UNet2DModel) -> dict[str, Tensor]:
    """An official state under the names and in the layout of ``unet``; all tensors share memory with ``state``.

    Raises:
        ValueError: tensors are missing, surplus, or of other shapes than in the official network of this size.
    """
    refuse_misfits(state, official_shapes(unet))
    return {name: state[source].T if source.endswith(".W") else state[source] for name, source in _sources(unet)}


def official_shapes(unet: UNet2DModel) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all parameters of the official network of the same size as ``unet``."""
    tensors = unet.state_dict()
    return {source: tuple(tensors[name].shape) for name, source in _sources(unet)}


def _sources(unet: UNet2DModel) -> Iterator[tuple[str, str]]:
    """Each tensor of ``unet``, and the official one it is."""
    for number, module in enumerate(_running_order(unet)):
        for inner in unet.get_submodule(module).state_dict():
            yield f"{module}.{inner}", f"all_modules.{number}.{_official_name(inner)}"


def _running_order(unet: UNet2DModel) -> list[str]:
    """The modules that the official network numbers."""
    down, up = (chain(*sequences(unet, way)) for way in ("down", "up"))
    middle = [f"mid_block.{block}" for block in ("resnets.0", "attentions.0", "resnets.1")]
    start, end = ("time_embedding.linear_1", "time_embedding.linear_2", "conv_in"), ("conv_norm_out", "conv_out")
    order = [*start, *down, *middle, *up, *end]
    return [module for module in order if unet.get_submodule(module).state_dict()]  # Not attention that was taken out.


def _official_name(inner: str) -> str:
    """The official name of a tensor within its module."""
    *part, kind = inner.rsplit(".", 1)
    official = [PARTS[name] for name in part]
    return ".".join([*official, LINEAR[kind] if official and official[0].startswith("NIN") else kind])
