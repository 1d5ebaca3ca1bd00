"""MobileNet-V2 (Sandler et al. 2018): torchvision's MobileNetV2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, cast

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from trigger_activation.lazy import torchvision
from trigger_activation.science.networks import NETWORKS, NetworkFamily
from trigger_activation.science.networks._small import is_small

if TYPE_CHECKING:
    from torch import nn


class Stage(NamedTuple):
    """One row of Table 2 of Sandler et al. 2018, in its order (t, c, n, s)."""

    expansion: PositiveInt
    channels: PositiveInt
    blocks: PositiveInt
    stride: Literal[1, 2]


@NETWORKS.register("mobilenet", version=1)
class MobileNet(NetworkFamily):
    """torchvision's ``MobileNetV2``, dropout 0.2 included.

    For small images the stem and the first stage of stride 2 have stride 1, and there is no dropout.
    """

    stages: Annotated[tuple[Stage, ...], Field(strict=False)]
    """Rows (t, c, n, s): expansion, output channels, inverted residual blocks, stride of the first one."""
    width_multiplier: PositiveFloat = 1.0
    """Factor on the channels of all but the last convolution, whose 1280 it can only raise."""

    @field_validator("stages")
    @classmethod
    def _three_strides(cls, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        if len(_downsampling(stages)) < 3:
            raise ValueError("a MobileNet needs three or more stages of stride 2")
        return stages

    def build(self, image_size: int, classes: int) -> nn.Module:
        """A MobileNet-V2 for images of (about) the given side; the average pool accepts larger ones too."""
        small = is_small(image_size)
        network = torchvision.models.mobilenetv2.MobileNetV2(
            num_classes=classes,
            width_mult=self.width_multiplier,
            inverted_residual_setting=[list(row) for row in (self._small_stages() if small else self.stages)],
            dropout=0.0 if small else 0.2,
        )
        if small:
            stem = cast("nn.Conv2d", network.get_submodule("features.0.0"))
            stem.stride = (1, 1)
        return network

    def feature_layer(self, stage: Literal[1, 2]) -> str:
        """The block before the second or third stride of 2; the latter (B, C, H/2, W/2) if small, else an eighth."""
        behind = _downsampling(self.stages)[stage]
        return f"features.{sum(row.blocks for row in self.stages[:behind])}"  # features.0 is the stem

    def _small_stages(self) -> tuple[Stage, ...]:
        first = _downsampling(self.stages)[0]
        return (*self.stages[:first], self.stages[first]._replace(stride=1), *self.stages[first + 1 :])


def _downsampling(stages: tuple[Stage, ...]) -> list[int]:
    return [position for position, stage in enumerate(stages) if stage.stride == 2]
