"""Arrays in ``.npz`` files, read without unpickling."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from trigger_activation.errors import UserError
from trigger_activation.science.datasets import ImageStream
from trigger_activation.store.atomic import replacing


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any] | ImageStream], compressed: bool = False) -> None:
    """Write named arrays, as :func:`numpy.savez` does; the same arrays give the same bytes.

    Args:
        path: the file.
        arrays: by name.
        compressed: as :func:`numpy.savez_compressed` does; such arrays cannot stay in their file.
    """
    compression = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", compression) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                if isinstance(array, ImageStream):
                    _write_images(member, array)
                else:
                    np.lib.format.write_array(member, array, allow_pickle=False)


def _write_images(member: IO[bytes], stream: ImageStream) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": stream.shape}
    np.lib.format.write_array_header_1_0(member, header)
    count = 0
    for count, image in enumerate(stream.images, start=1):
        if image.shape != stream.shape[1:] or image.dtype != np.uint8:
            raise ValueError(f"image {count} is {image.dtype} {image.shape}, not uint8 {stream.shape[1:]}")
        member.write(image.tobytes())
    if count != stream.shape[0]:
        raise ValueError(f"there are {count} images instead of {stream.shape[0]}")


DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, MemoryError)
"""What reading a damaged file may raise, one that claims an impossible size included."""
UNREADABLE = (*DAMAGE, zipfile.BadZipFile, zlib.error)


def load_arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Read the named arrays.

    Raises:
        UserError: the file is damaged or does not hold these arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except UNREADABLE as error:
        raise unreadable(path, error) from None


def map_array(path: Path, name: str) -> NDArray[Any]:
    """An array that stays in its file, of which only what is used is read; changes to it stay in memory.

    Raises:
        UserError: the file is damaged or does not hold this array.
    """
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as stream:
            # NumPy maps .npy files only; one that is stored in an archive is such a file with an offset.
            info = archive.getinfo(f"{name}.npy")
            stream.seek(info.header_offset + 26)
            stream.seek(sum(struct.unpack("<HH", stream.read(4))), os.SEEK_CUR)
            np.lib.format.read_magic(stream)
            shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
            if info.compress_type != zipfile.ZIP_STORED or fortran_order:
                raise ValueError("its bytes do not lie in the order of the array")
            return np.memmap(path, dtype, "c", stream.tell(), shape)
    except UNREADABLE as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: Exception) -> UserError:
    """What is said of a file that cannot be read."""
    return UserError(f"{path} cannot be read ({error}): delete it and run again")
