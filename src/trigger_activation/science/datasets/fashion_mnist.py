"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747) from its four official files."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from trigger_activation.errors import UserError
from trigger_activation.lazy import numpy as np
from trigger_activation.parameters import Sha256, StrictModel
from trigger_activation.science.datasets import DATASETS, DatasetSource, LabelledImages, Split
from trigger_activation.science.datasets._external import check_sha256, first_missing, read_present

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = "fashion-mnist"
"""Where the files lie among those from elsewhere."""
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where they are looked for if that folder does not exist."""
FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


class Hashes(StrictModel):
    """Of the two files of a split, decompressed: Debian compresses them anew, so that the .gz files differ."""

    images: Sha256
    labels: Sha256


@DATASETS.register("fashion_mnist", version=1)
class FashionMnist(DatasetSource):
    """60,000 training and 10,000 test images of 28×28 pixels, grey repeated to three channels, in the files' order."""

    train: Hashes
    test: Hashes

    def missing(self, external: Path) -> str | None:
        """The sentence that asks for the files, if one is not there."""
        return first_missing(
            (_folder(external) / name for names in FILES.values() for name in names), _remedy(external)
        )

    def load(self, split: Split, external: Path) -> LabelledImages:
        """Read one split: images (N, 28, 28, 3) in 0..255 and their labels (N,).

        Raises:
            UserError: a file is absent, another one, or holds something else.
        """
        hashes = self.train if split == "train" else self.test
        images, labels = (
            read_idx(_folder(external) / name, sha256, _remedy(external))
            for name, sha256 in zip(FILES[split], (hashes.images, hashes.labels), strict=True)
        )
        return LabelledImages(np.repeat(images[..., None], 3, axis=-1), labels.astype(np.int64))


def read_idx(path: Path, sha256: str, remedy: str) -> NDArray[np.uint8]:
    """The array in a gzipped idx file of unsigned bytes.

    Raises:
        UserError: the file is absent, another one, or holds something else.
    """
    compressed = read_present(path, remedy)
    try:
        content = gzip.decompress(compressed)
        check_sha256(f"{path}, decompressed,", content, sha256, remedy)
        return parse_idx(content)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise UserError(f"{path} cannot be read as an idx file ({error}): {remedy}") from None


def parse_idx(content: bytes) -> NDArray[np.uint8]:
    """The array in an idx file: two zeros, the type, the number of axes, their lengths, then the values.

    Raises:
        ValueError: it holds something else than unsigned bytes, or more or fewer of them than it says.
    """
    if content[:3] != b"\0\0\x08":
        raise ValueError("it does not begin as one of unsigned bytes")
    shape = np.frombuffer(content, dtype=">u4", count=content[3], offset=4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def _folder(external: Path) -> Path:
    own = external / FOLDER
    return own if own.exists() else DEBIAN


def _remedy(external: Path) -> str:
    return (
        "put the four .gz files of https://github.com/zalandoresearch/fashion-mnist into "
        f"{external / FOLDER}, or install Debian's package dataset-fashion-mnist"
    )
