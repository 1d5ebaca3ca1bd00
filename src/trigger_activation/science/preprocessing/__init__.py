"""Preprocessing defenses: they change an image before the undefended network sees it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from trigger_activation.registry import Registry
from trigger_activation.science.helpers import ConsultsHelper

if TYPE_CHECKING:
    from torch import Tensor


class Preprocessing(ConsultsHelper):
    """A map of images (B, 3, H, W) in [0, 1] to images in [0, 1]; it may change H and W."""

    stored: ClassVar[bool] = False
    """Whether it is so expensive that each image set is preprocessed once, as a target that all victims share."""
    random: ClassVar[bool] = False
    """Whether it draws from the seeds."""

    @abstractmethod
    def apply(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """Preprocess one batch without gradients.

        Args:
            images: (B, 3, H, W), float, in [0, 1]; left as they are.
            seeds: one for each image and the source of all its randomness, so that what becomes of an image does not
                depend on the batch that it is in.

        Returns:
            Images in [0, 1], of the same type and on the same device.
        """


class Purifier(Preprocessing):
    """A preprocessing that is a network: expensive, and of the same H and W before and after."""

    stored = True


PREPROCESSING: Registry[Preprocessing] = Registry("preprocessing", __name__)
