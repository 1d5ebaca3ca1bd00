"""Small data sets that are files of this package."""

from __future__ import annotations

import hashlib
import io
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trigger_activation.errors import UserError
from trigger_activation.lazy import numpy as np
from trigger_activation.science.datasets import DATASETS, DatasetSource, LabelledImages, Split

if TYPE_CHECKING:
    from numpy.typing import NDArray


@DATASETS.register("packed", version=1)
class Packed(DatasetSource):
    """Grey images in an .npz file of this package, in the order of the file.

    The file holds ``train_images`` and ``test_images`` (N, H, W) and ``train_labels`` and ``test_labels``
    (N,), all uint8. ``fashion16.npz`` is Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747) at
    16×16 pixels, classes mixed, made by scripts/pack_fashion16.py.
    """

    file: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    """Name of the file in ``trigger_activation/datasets/data``."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Hash of the file, checked before anything in it is read."""

    def load(self, split: Split, external: Path) -> LabelledImages:  # noqa: ARG002
        """Read one split: grey images (N, H, W, 3) in 0..255 and their labels (N,).

        Raises:
            UserError: the file is absent, or its sha256 is not the one in config.
        """
        content = read_checked(data_folder().joinpath(self.file), self.sha256)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            grey, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        return LabelledImages(grey_to_rgb(grey), labels.astype(np.int64))


def data_folder() -> Traversable:
    """The folder of the package that holds its data sets."""
    return resources.files("trigger_activation.science.datasets").joinpath("data")


def read_checked(file: Traversable, sha256: str) -> bytes:
    """The bytes of a file whose hash is known.

    Raises:
        UserError: the file is absent, or its sha256 is another one.
    """
    if not file.is_file():
        raise UserError(
            f"the data set file {file} does not exist: reinstall the package, or correct the name in config"
        )
    content = file.read_bytes()
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise UserError(
            f"the data set file {file} has sha256 {actual}, but config says {sha256}: restore the file from "
            "version control or reinstall the package, or correct sha256 in config"
        )
    return content


def grey_to_rgb(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat grey images (N, H, W) to three equal channels (N, H, W, 3)."""
    return np.repeat(grey[..., None], 3, axis=-1)
