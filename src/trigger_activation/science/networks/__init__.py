"""Network families: torchvision and timm constructors, adapted to the image size and to miniature widths."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from trigger_activation.parameters import Parameters
from trigger_activation.registry import Registry

if TYPE_CHECKING:
    from torch import nn


class NetworkFamily(Parameters):
    """A family of classifiers from [0, 1] images (B, 3, H, W) to logits (B, classes)."""

    smallest_image: ClassVar[int] = 16
    """Side in pixels of the smallest image the family accepts; the plan refuses smaller data."""

    @abstractmethod
    def build(self, image_size: int, classes: int) -> nn.Module:
        """A freshly initialised network (torch's global generator), in training mode.

        Images of at most 64 px get the stem for small images, larger ones the constructor's own.
        """

    @abstractmethod
    def feature_layer(self, stage: Literal[1, 2]) -> str:
        """Dotted name of the module whose output ends the first or second stage, for attacks on features.

        The second stage is the one before the third time that a full-size network halves the side of ImageNet's
        images; small images keep the name and a larger side.
        """


NETWORKS: Registry[NetworkFamily] = Registry("network", __name__)
