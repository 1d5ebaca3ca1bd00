"""VGG networks with batch normalisation (Simonyan and Zisserman 2015): torchvision's VGG."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveInt, field_validator

from trigger_activation.lazy import torch, torchvision
from trigger_activation.science.networks import NETWORKS, NetworkFamily
from trigger_activation.science.networks._small import is_small

if TYPE_CHECKING:
    from torch import nn

HEAD_CHANNELS = 512
"""Channels that the classifier of torchvision's ``VGG`` takes."""


@NETWORKS.register("vgg", version=1)
class VGG(NetworkFamily):
    """torchvision's ``VGG`` on ``make_layers(configuration, batch_norm=True)``.

    For small images the three wide linear layers with dropout give way to a global average pool (idle in
    VGG-19 at 32 px) and one linear layer, and max-poolings of a single pixel are left out.
    """

    configuration: Annotated[tuple[PositiveInt | Literal["M"], ...], Field(strict=False)]
    """Channels of every 3 x 3 convolution, with an ``M`` for the 2 x 2 max-pooling that ends a block."""

    @field_validator("configuration")
    @classmethod
    def _blocks(cls, configuration: tuple[int | str, ...]) -> tuple[int | str, ...]:
        if configuration.count("M") < 3 or configuration[-1] != "M":
            raise ValueError("a VGG configuration needs three or more blocks, each ended by M")
        if ("M", "M") in pairwise(("M", *configuration)):
            raise ValueError("a VGG configuration needs a convolution in each block, but one has only its M")
        return configuration

    def build(self, image_size: int, classes: int) -> nn.Module:
        """A VGG for images of (about) the given side; the average pool accepts larger ones too.

        Raises:
            ValueError: the image is large and the configuration too narrow for torchvision's classifier.
        """
        if is_small(image_size):
            return self._build_small(image_size, classes)
        channels = self._output_channels
        if channels != HEAD_CHANNELS:
            raise ValueError(
                f"above 64 px VGG's classifier takes {HEAD_CHANNELS} channels, but this ends in {channels}"
            )
        return torchvision.models.VGG(self._features(), num_classes=classes)

    def feature_layer(self, stage: Literal[1, 2]) -> str:
        """The last ReLU of the second or third block; the latter gives (B, C, H/4, W/4)."""
        pools = [position for position, entry in enumerate(self.configuration) if entry == "M"]
        convolutions = pools[stage] - stage
        # Each is followed by its normalisation and its ReLU, and `stage` poolings lie between them.
        return f"features.{3 * convolutions + stage - 1}"

    def _build_small(self, image_size: int, classes: int) -> nn.Module:
        features = self._features()
        _drop_idle_pools(features, image_size)
        # The constructor initialises the features, but its head of 120 million weights is replaced.
        with torch.device("meta"):
            network = torchvision.models.VGG(features)
        network.avgpool = torch.nn.AdaptiveAvgPool2d((1, 1))
        network.classifier = _head(self._output_channels, classes)  # type: ignore[assignment]
        return network

    def _features(self) -> nn.Sequential:
        return torchvision.models.vgg.make_layers(list(self.configuration), batch_norm=True)

    @property
    def _output_channels(self) -> int:
        return int(self.configuration[-2])


def _drop_idle_pools(features: nn.Sequential, image_size: int) -> None:
    # Each pooling halves the side and rounds down; an identity keeps the names of the layers behind it.
    pools = [i for i, module in enumerate(features) if isinstance(module, torch.nn.MaxPool2d)]
    for index in pools[image_size.bit_length() - 1 :]:
        features[index] = torch.nn.Identity()


def _head(channels: int, classes: int) -> nn.Linear:
    head = torch.nn.Linear(channels, classes)
    torch.nn.init.normal_(head.weight, std=0.01)  # as torchvision's VGG starts its linear layers
    torch.nn.init.zeros_(head.bias)
    return head
