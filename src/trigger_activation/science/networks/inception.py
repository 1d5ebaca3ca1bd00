"""Inception-v4 (Szegedy et al. 2017): timm's network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from trigger_activation.science.networks import NETWORKS, NetworkFamily

if TYPE_CHECKING:
    from torch import nn


@NETWORKS.register("inception", version=1)
class Inception(NetworkFamily):
    """timm's ``inception_v4`` without pretrained weights, dropout and normalisation of its input."""

    smallest_image: ClassVar[int] = 75
    """Its unpadded convolutions leave one pixel of 75 and nothing of 74."""

    def build(self, image_size: int, classes: int) -> nn.Module:  # noqa: ARG002
        """An Inception-v4, which is the same for every image size."""
        import timm  # takes seconds, and nothing but this method needs it

        network: nn.Module = timm.create_model("inception_v4", pretrained=False, num_classes=classes)
        return network

    def feature_layer(self, stage: Literal[1, 2]) -> str:
        """The last block of the stem, or Mixed_5e, the last Inception-A block: (B, 384, 25, 25) at 224 px."""
        return {1: "features.5", 2: "features.9"}[stage]
