"""Preprocessing defenses: they change an image before the undefended network sees it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from trigger_activation.parameters import Parameters
from trigger_activation.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


class Preprocessing(Parameters):
    """A map of images (B, 3, H, W) in [0, 1] to images in [0, 1]; it may change H and W."""

    @abstractmethod
    def apply(self, images: Tensor) -> Tensor:
        """Preprocess one batch without gradients."""


PREPROCESSING: Registry[Preprocessing] = Registry("preprocessing", __name__)
