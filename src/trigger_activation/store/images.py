"""Adversarial images as their files hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_activation.errors import UserError
from trigger_activation.store.arrays import load_arrays


def load_tae_images(path: Path, clean: NDArray[np.uint8]) -> NDArray[Any]:
    """The images of a TAE set.

    Args:
        path: of the set.
        clean: the test images (N, H, W, 3) that it was crafted from, of which it may hold the first only.

    Returns:
        uint8, as many as the set has, each the adversarial counterpart of the clean one in its place.

    Raises:
        UserError: the file is damaged, or the set is of other images than these.
    """
    images = load_arrays(path, ("images",))["images"]
    if images.dtype != np.uint8 or images.shape[1:] != clean.shape[1:] or len(images) > len(clean):
        raise UserError(
            f"{path} holds {images.dtype} images of shape {images.shape}, which are not made of {len(clean)} test "
            f"images of shape {clean.shape[1:]}: it is of another data set, so take the one of this protocol"
        )
    return images
