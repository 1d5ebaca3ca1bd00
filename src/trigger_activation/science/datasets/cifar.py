"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from their official archives."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trigger_activation.errors import UserError
from trigger_activation.lazy import numpy as np
from trigger_activation.parameters import Sha256
from trigger_activation.science.datasets import DATASETS, DatasetSource, LabelledImages, Split
from trigger_activation.science.datasets._external import check_sha256, first_missing, read_present

SITE = "https://www.cs.toronto.edu/~kriz"


@dataclass(frozen=True)
class ArchiveLayout:
    """Where an archive holds what."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    """Pickles, in the order of their images."""
    labels: bytes
    """Their key for the labels."""


LAYOUTS = {
    "cifar-10-python.tar.gz": ArchiveLayout(
        train=tuple(f"cifar-10-batches-py/data_batch_{number}" for number in range(1, 6)),
        test=("cifar-10-batches-py/test_batch",),
        labels=b"labels",
    ),
    "cifar-100-python.tar.gz": ArchiveLayout(
        train=("cifar-100-python/train",), test=("cifar-100-python/test",), labels=b"fine_labels"
    ),
}


@DATASETS.register("cifar", version=1)
class Cifar(DatasetSource):
    """50,000 training and 10,000 test images of 32×32 pixels, in the order of the archive; fine labels of CIFAR-100.

    torchvision's reader is not used: it unpacks the archive to the disk and unpickles whatever lies there. Here the
    archive is hashed, its members are read in memory, and their pickles may hold arrays, bytes, numbers, lists and
    dictionaries only, so that nothing in them is executed even if config names another hash.
    """

    file: Literal["cifar-10-python.tar.gz", "cifar-100-python.tar.gz"]
    """The archive, by its name in the folder of files from elsewhere."""
    sha256: Sha256
    """Of the archive, checked before anything in it is read."""

    def missing(self, external: Path) -> str | None:
        """The sentence that asks for the archive, if it is not there."""
        return first_missing([external / self.file], self._remedy)

    def load(self, split: Split, external: Path) -> LabelledImages:
        """Read one split: images (N, 32, 32, 3) in 0..255 and their labels (N,).

        Raises:
            UserError: the archive is absent, another one, or holds something else.
        """
        layout, path = LAYOUTS[self.file], external / self.file
        content = read_present(path, self._remedy)
        check_sha256(f"{path}", content, self.sha256, self._remedy)
        try:
            members = read_members(content, layout.train if split == "train" else layout.test)
            return labelled([unpickled(member) for member in members], layout.labels)
        except Exception as error:  # A damaged file may raise nearly anything.
            reason = " ".join(f"{error}".split())[:200] or type(error).__name__
            raise UserError(f"{path} cannot be read as images and labels ({reason}): {self._remedy}") from None

    @property
    def _remedy(self) -> str:
        return f"download {SITE}/{self.file} and put it there"


def read_members(archive: bytes, names: Sequence[str]) -> list[bytes]:
    """The contents of the named files in a .tar.gz archive, in the order of the names.

    Raises:
        ValueError: the archive does not hold one of them.
    """
    found = {}
    # One pass, since going back in a compressed archive means decompressing it again.
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as members:
        for member in members:
            if member.isfile() and member.name in names and (stream := members.extractfile(member)):
                found[member.name] = stream.read()
    if absent := [name for name in names if name not in found]:
        raise ValueError(f"it has no {absent[0]}")
    return [found[name] for name in names]


class _DataUnpickler(pickle.Unpickler):
    """Reads pickles of Python 2 and NumPy 1 that hold arrays and plain data, and calls nothing but NumPy's."""

    def find_class(self, module: str, name: str) -> Any:
        """The three names that an array is pickled with.

        Raises:
            UnpicklingError: the pickle asks for another one.
        """
        admitted = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in admitted:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return admitted[module, name]


def unpickled(content: bytes) -> Any:
    """What a pickle of arrays and plain data holds, its text as bytes.

    Raises:
        UnpicklingError: it asks for anything else; a damaged one may raise other errors.
    """
    return _DataUnpickler(io.BytesIO(content), encoding="bytes").load()


def labelled(batches: Sequence[dict[bytes, Any]], key: bytes) -> LabelledImages:
    """The images of all batches, whose rows hold the red, then the green, then the blue plane of an image.

    Raises:
        ValueError: pixels and labels are not those of 32×32 images.
    """
    pixels = np.concatenate([batch[b"data"] for batch in batches])
    labels = np.concatenate([np.asarray(batch[key], dtype=np.int64) for batch in batches])
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3 * 32 * 32):
        raise ValueError(f"{pixels.dtype} {pixels.shape} for {len(labels)} labels")
    images = np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return LabelledImages(images, labels)
