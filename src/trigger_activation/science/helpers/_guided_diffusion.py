"""The unconditional guided-diffusion network (Dhariwal and Nichol 2021) as a UNet2DModel of diffusers.

The official network (github.com/openai/guided-diffusion) numbers its blocks in the order in which they run: the first
convolution and the way down (``input_blocks``), the middle (``middle_block``), and the way up (``output_blocks``). Each
has a residual block, attention at some levels and, where the way up leaves a level, a residual block that resamples.
diffusers sorts the same modules by level and kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trigger_activation.science.helpers._official import GROUPS, refuse_misfits, resampling_unet, sequences

if TYPE_CHECKING:
    from diffusers import UNet2DModel
    from torch import Tensor

ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
"""The modules outside all blocks: from names of diffusers to official names, like the next two."""

RESIDUAL = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
"""The modules of a residual block."""

ATTENTION = {"group_norm": "norm", "to_q": "qkv", "to_k": "qkv", "to_v": "qkv", "to_out.0": "proj_out"}
"""The modules of an attention block."""

QKV = ("to_q", "to_k", "to_v")
"""The parts of ``qkv``, whose rows are the first head's q, k and v, then the second head's, and so on."""


def build_unet(
    channels: int = 256,
    multipliers: Sequence[int] = (1, 1, 2, 2, 4, 4),
    blocks_per_level: int = 2,
    attention_levels: Sequence[int] = (3, 4, 5),
    head_channels: int = 64,
) -> UNet2DModel:
    """A freshly initialised network (torch's global generator), by default as large as 256x256_diffusion_uncond.pt.

    It maps images (B, 3, H, W) in [-1, 1] and timesteps (B,) from 0 to 999 to (B, 6, H, W): the predicted noise in
    three channels, then the position of the log variance between its bounds, -1 to 1. H and W are multiples of
    2 ** (levels - 1). Built under ``torch.device("meta")`` and loaded with ``assign=True``, a checkpoint is held once.

    Args:
        channels: width of the first level, a multiple of 32.
        multipliers: width of each level in multiples of ``channels``, the finest first; that one is 1.
        blocks_per_level: residual blocks per level of the way down; the way up has one more.
        attention_levels: levels with attention, the finest is 0; the middle always has it. At 256 px levels 3, 4 and 5
            have sides of 32, 16 and 8 px.
        head_channels: width of an attention head.
    """
    return resampling_unet(
        channels,
        multipliers,
        blocks_per_level,
        attention_levels,
        out_channels=6,
        resnet_time_scale_shift="scale_shift",
        attention_head_dim=head_channels,
        attn_norm_num_groups=GROUPS,  # With "scale_shift" the middle's attention has no normalisation unless told.
        norm_eps=1e-5,
        flip_sin_to_cos=True,  # cos first
        freq_shift=0,
    )


def from_official(state: Mapping[str, Tensor], unet: UNet2DModel) -> dict[str, Tensor]:
    """An official state under the names and in the shapes of ``unet``; most tensors share memory with ``state``.

    The shapes tell neither the width of a head, which is taken from ``unet``, nor the order of q, k and v: the state
    must come from a network with ``use_new_attention_order=False``, as 256x256_diffusion_uncond.pt does.

    Raises:
        ValueError: tensors are missing, surplus, or of other shapes than in the official network of this size.
    """
    refuse_misfits(state, official_shapes(unet))
    return {name: _converted(state[source], name, unet) for name, source in _sources(unet).items()}


def official_shapes(unet: UNet2DModel) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors of the official network of the same size as ``unet``."""
    tensors = unet.state_dict()
    return {source: _official_shape(name, tensors[name]) for name, source in _sources(unet).items()}


def _sources(unet: UNet2DModel) -> dict[str, str]:
    """For each tensor of ``unet`` the official one it is, or is a part of."""
    modules = dict(ENDS)
    for block, source in _blocks(unet).items():
        inner = ATTENTION if ".attentions." in block else RESIDUAL
        modules |= {f"{block}.{name}": f"{source}.{official}" for name, official in inner.items()}
    split = (name.rpartition(".") for name in unet.state_dict())
    return {f"{module}.{kind}": f"{modules[module]}.{kind}" for module, _, kind in split}


def _blocks(unet: UNet2DModel) -> dict[str, str]:
    """Residual and attention blocks, from names of diffusers to official names."""
    names = {
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }
    for way, official, first in (("down", "input_blocks", 1), ("up", "output_blocks", 0)):
        for number, sequence in enumerate(sequences(unet, way), start=first):
            names |= {block: f"{official}.{number}.{position}" for position, block in enumerate(sequence)}
    return names


def _part(name: str) -> int | None:
    """Which third of ``qkv`` a tensor of diffusers is, if any."""
    kind = name.split(".")[-2]
    return QKV.index(kind) if kind in QKV else None


def _official_shape(name: str, tensor: Tensor) -> tuple[int, ...]:
    rows, *others = tensor.shape
    if ".attentions." in name and others:
        others.append(1)  # A convolution of size 1 over positions, where diffusers has a linear map.
    return (rows if _part(name) is None else 3 * rows, *others)


def _converted(tensor: Tensor, name: str, unet: UNet2DModel) -> Tensor:
    part = _part(name)
    if part is not None:
        tensor = tensor.reshape(-1, 3, unet.config.attention_head_dim, *tensor.shape[1:])[:, part].flatten(0, 1)
    return tensor.flatten(1) if tensor.ndim == 3 else tensor
