"""Densely connected networks with bottlenecks and compression (Huang et al. 2017): torchvision's DenseNet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveInt, field_validator

from trigger_activation.lazy import torch, torchvision
from trigger_activation.science.networks import NETWORKS, NetworkFamily
from trigger_activation.science.networks._small import is_small, small_stem

if TYPE_CHECKING:
    from torch import nn


@NETWORKS.register("densenet", version=1)
class DenseNet(NetworkFamily):
    """torchvision's ``DenseNet``.

    For small images the stem is one 3 x 3 convolution of stride 1, without normalisation, ReLU and pooling,
    as Huang et al. 2017 have it for CIFAR.
    """

    growth_rate: PositiveInt
    """Channels that each dense layer adds."""
    block_config: Annotated[tuple[PositiveInt, ...], Field(strict=False)]
    """Dense layers in each block; the transitions between the blocks halve side and channels."""
    init_features: PositiveInt
    """Channels of the stem."""

    @field_validator("block_config")
    @classmethod
    def _number_of_blocks(cls, block_config: tuple[int, ...]) -> tuple[int, ...]:
        # The second block is the feature layer, and four transitions take 16 px to a single one.
        if not 2 <= len(block_config) <= 5:
            raise ValueError(f"a DenseNet has two to five blocks, but block_config lists {len(block_config)}")
        return block_config

    def build(self, image_size: int, classes: int) -> nn.Module:
        """A DenseNet for images of (about) the given side; the average pool accepts larger ones too."""
        network = torchvision.models.DenseNet(
            growth_rate=self.growth_rate,
            block_config=self.block_config,  # type: ignore[arg-type]  # works for any number of blocks
            num_init_features=self.init_features,
            num_classes=classes,
        )
        if is_small(image_size):
            network.features.conv0 = small_stem(self.init_features, "fan_in")
            for name in ("norm0", "relu0", "pool0"):
                setattr(network.features, name, torch.nn.Identity())
        return network

    def feature_layer(self, stage: Literal[1, 2]) -> str:
        """A dense block; the second gives (B, C, H/2, W/2) for small images, (B, C, H/8, W/8) for larger ones."""
        return f"features.denseblock{stage}"
