"""What released networks share: how files are checked, and what those that become a UNet2DModel have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trigger_activation.lazy import diffusers, torch

if TYPE_CHECKING:
    from diffusers import UNet2DModel
    from torch import Tensor

GROUPS = 32
"""Groups of every group normalisation."""


def resampling_unet(
    channels: int, multipliers: Sequence[int], blocks_per_level: int, attention_levels: Sequence[int], **settings: Any
) -> UNet2DModel:
    """A network for RGB images whose residual blocks also resample, as in BigGAN.

    Args:
        channels: width of the first level, a multiple of 32.
        multipliers: width of each level in multiples of ``channels``, the finest first; that one is 1.
        blocks_per_level: residual blocks per level of the way down; the way up has one more.
        attention_levels: levels with attention, the finest is 0; the middle always has it.
        settings: what else ``UNet2DModel`` takes.
    """
    attends = [level in attention_levels for level in range(len(multipliers))]
    return diffusers.UNet2DModel(
        in_channels=3,
        block_out_channels=tuple(channels * multiplier for multiplier in multipliers),
        layers_per_block=blocks_per_level,
        down_block_types=tuple("AttnDownBlock2D" if here else "ResnetDownsampleBlock2D" for here in attends),
        up_block_types=tuple("AttnUpBlock2D" if here else "ResnetUpsampleBlock2D" for here in reversed(attends)),
        downsample_type="resnet",
        upsample_type="resnet",
        norm_num_groups=GROUPS,
        **settings,
    )


def sequences(unet: UNet2DModel, way: str) -> list[list[str]]:
    """Names of the blocks of the way down or up, in the order in which they run.

    A residual block stands together with the attention behind it and, on the way up, with what resamples its output.
    """
    found = []
    for name, level in unet.get_submodule(f"{way}_blocks").named_children():
        prefix = f"{way}_blocks.{name}"
        kinds = ("resnets", "attentions") if hasattr(level, "attentions") else ("resnets",)
        found += [[f"{prefix}.{kind}.{index}" for kind in kinds] for index in range(len(level.resnets))]
        if getattr(level, "downsamplers", None):
            found.append([f"{prefix}.downsamplers.0"])
        if getattr(level, "upsamplers", None):
            found[-1].append(f"{prefix}.upsamplers.0")
    return found


def named_tensors(content: object) -> dict[str, Tensor]:
    """What a file holds, if that is a mapping from names to tensors.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()
    ):
        raise ValueError("it holds something else than named tensors")
    return content


def refuse_misfits(state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Compare a state with the names and shapes that it must have.

    Raises:
        ValueError: tensors are missing, surplus or of other shapes.
    """
    misfits = {
        "missing": shapes.keys() - state.keys(),
        "surplus": state.keys() - shapes.keys(),
        "of another shape": {name for name in shapes.keys() & state.keys() if tuple(state[name].shape) != shapes[name]},
    }
    found = [f"{len(names)} {kind} (first {min(names)})" for kind, names in misfits.items() if names]
    if found:
        raise ValueError(f"the tensors are not those of the official network of this size: {', '.join(found)}")
