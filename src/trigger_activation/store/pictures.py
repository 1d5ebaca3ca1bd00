"""Small pictures inside JSON: PNG in base64."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def encode_png(picture: NDArray[np.uint8]) -> str:
    """(H, W, 3) as a PNG in base64."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def decode_png(picture: str) -> NDArray[np.uint8]:
    """A PNG in base64 as (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))))
