"""Images from files, decoded by several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from trigger_activation.errors import UserError
from trigger_activation.lazy import numpy as np
from trigger_activation.lazy import torchvision

if TYPE_CHECKING:
    import PIL.Image
    from numpy.typing import NDArray

    Prepare = Callable[[Path, PIL.Image.Image], PIL.Image.Image]
    """What makes an image (H, W, 3) of uint8 of a decoded one; the file is for messages."""

R = TypeVar("R")
THREADS = 4
AT_ONCE = 64
"""Files that a thread takes at a time."""


def read_images(files: Sequence[Path], prepare: Prepare, remedy: str) -> Iterator[NDArray[np.uint8]]:
    """The images in some files, in their order, each decoded and prepared shortly before it is asked for.

    Raises:
        UserError: naming a file that cannot be decoded, with the remedy; whatever ``prepare`` raises.
    """
    return each(files, lambda file: np.asarray(prepare(file, _decoded(file, remedy))))


def each(files: Sequence[Path], action: Callable[[Path], R]) -> Iterator[R]:
    """What an action makes of each file, in their order, by several threads that keep a little ahead of the reader."""
    with ThreadPoolExecutor(THREADS) as pool:
        step = THREADS * AT_ONCE
        for start in range(0, len(files), step):
            parts = (files[first : first + AT_ONCE] for first in range(start, min(start + step, len(files)), AT_ONCE))
            for made in pool.map(lambda part: [action(file) for file in part], parts):
                yield from made


def middle_of(shorter_side: int, side: int) -> Callable[[PIL.Image.Image], PIL.Image.Image]:
    """Resize the shorter side to so many pixels (bilinear, antialiased), then cut out the middle (side, side)."""
    transforms = torchvision.transforms
    return transforms.Compose([transforms.Resize(shorter_side), transforms.CenterCrop(side)])  # type: ignore[no-untyped-call]


def _decoded(file: Path, remedy: str) -> PIL.Image.Image:
    from PIL import Image

    try:
        with Image.open(file) as image:
            image.load()
            return image
    except Exception as error:  # A damaged file may raise nearly anything.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{file} cannot be decoded ({reason}): {remedy}") from None
