"""TAE sets: what an attack added to the test images, compressed; the only place that writes and reads such files.

A difference of two bytes modulo 256 is a byte, and nothing is lost whatever the attack did: within a budget it is the
signed difference as int8. Neighbouring differences tell little of each other, but few values occur, so the bytes are
compressed by runs and frequencies alone, which is smaller here than a search for repetitions, and many times faster.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_activation.errors import UserError
from trigger_activation.lazy import torch
from trigger_activation.store.arrays import UNREADABLE, load_arrays, unreadable

BLOCK = 2**22
"""Bytes that are compressed at a time, so that a large set is never in memory twice."""


def packed(adversarial: torch.Tensor, clean: torch.Tensor, data_set: str) -> dict[str, NDArray[Any]]:
    """The arrays of a TAE set's file.

    Args:
        adversarial: uint8 (N, H, W, 3) on the CPU.
        clean: uint8 (N, H, W, 3) on the CPU, the images that the attack started from.
        data_set: sha256 of the file that these come from.
    """
    blocks = _blocks(tuple(adversarial.shape))
    chosen = (slice(first, first + blocks.step) for first in blocks)
    pieces = [_compressed((adversarial[block] - clean[block]).contiguous().numpy()) for block in chosen]
    return {
        "shape": np.array(adversarial.shape, dtype=np.int64),
        "data_set": np.array(data_set),
        "ends": np.cumsum([len(piece) for piece in pieces], dtype=np.int64),
        "differences": np.frombuffer(b"".join(pieces), dtype=np.uint8),
    }


class TaeSet:
    """A TAE set in its file.

    Raises:
        UserError: the file is damaged or no TAE set.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        arrays = load_arrays(path, ("shape", "data_set", "ends", "differences"))
        self.shape = tuple(arrays["shape"].ravel().tolist())
        self._data_set, self._ends, self._pieces = str(arrays["data_set"]), arrays["ends"], arrays["differences"]
        if len(self.shape) != 4 or min(self.shape) < 1 or self._ends.shape != (len(_blocks(self.shape)),):
            raise unreadable(path, ValueError("its arrays do not fit together"))

    def __len__(self) -> int:
        """The number of its images."""
        return int(self.shape[0])

    def images(self, clean: torch.Tensor, data_set: str) -> torch.Tensor:
        """The adversarial images, on the device of the clean ones.

        Args:
            clean: uint8 (K, H, W, 3), the first K images of the data set.
            data_set: sha256 of the file that these come from.

        Returns:
            uint8 (K, H, W, 3).

        Raises:
            UserError: it was crafted on images of another data set, or is damaged.
        """
        if data_set != self._data_set or tuple(clean.shape[1:]) != self.shape[1:] or len(clean) > len(self):
            raise UserError(
                f"{self.path} holds differences to a data set of sha256 {self._data_set[:12]}, not to the one of "
                f"sha256 {data_set[:12]} that is here: delete it and run again"
            )
        try:
            return torch.from_numpy(self._differences(len(clean))).to(clean.device).add_(clean)
        except UNREADABLE as error:
            raise unreadable(self.path, error) from None

    def _differences(self, count: int) -> NDArray[np.uint8]:
        """Of the first so many images."""
        found = np.empty((count, *self.shape[1:]), dtype=np.uint8)
        blocks, ends = _blocks(self.shape), self._ends.tolist()
        for first, start, end in zip(blocks, [0, *ends[:-1]], ends, strict=True):
            chosen = found[first : first + blocks.step]
            if not len(chosen):
                break
            shape = (min(blocks.step, len(self) - first), *self.shape[1:])
            content = np.frombuffer(_decompressed(self._pieces[start:end].data, math.prod(shape)), dtype=np.uint8)
            chosen[...] = content.reshape(shape)[: len(chosen)]
        return found


def _blocks(shape: tuple[int, ...]) -> range:
    """The first images of what is compressed together, of a set of shape (N, H, W, 3)."""
    return range(0, shape[0], max(1, BLOCK // (shape[1] * shape[2] * shape[3])))


def _compressed(block: NDArray[np.uint8]) -> bytes:
    packer = zlib.compressobj(9, strategy=zlib.Z_RLE)
    return packer.compress(block.data) + packer.flush()


def _decompressed(piece: memoryview, size: int) -> bytes:
    """The bytes of a block; never more than it may have, whatever a damaged file claims."""
    content = zlib.decompressobj().decompress(piece, size + 1)
    if len(content) != size:
        raise ValueError(f"a block has other than its {size} bytes")
    return content
