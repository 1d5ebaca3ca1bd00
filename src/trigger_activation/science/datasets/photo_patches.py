"""Colour images on the CPU: patches of ten photographs that come with scikit-image and scikit-learn."""

from __future__ import annotations

import hashlib
import io
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, PositiveInt

from trigger_activation.errors import UserError
from trigger_activation.lazy import numpy as np
from trigger_activation.science.datasets import DATASETS, DatasetSource, LabelledImages, Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 32

# The files themselves, because skimage.data prefers its download cache to them; in the order of the classes.
PHOTOGRAPHS = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/hubble_deep_field.jpg"),
    ("skimage", "data/ihc.png"),
    ("skimage", "data/motorcycle_left.png"),
    ("skimage", "data/retina.jpg"),
    ("skimage", "data/rocket.jpg"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
)
_STREAMS = {"blocks": 0, "train": 1, "test": 2, "train order": 3, "test order": 4}


@DATASETS.register("photo_patches", version=1)
class PhotoPatches(DatasetSource):
    """Patches of 32×32 pixels; the class is the photograph that they were cut from.

    Each photograph is cut into square blocks, and each block belongs to training or to testing. Patches lie
    entirely inside one block, so no pixel is seen in both. Patches of the same block may overlap, but no
    place is drawn twice (some of the retina's black border look alike).
    """

    train_per_class: PositiveInt = 400
    """Training patches of each photograph."""
    test_per_class: PositiveInt = 100
    """Test patches of each photograph."""
    block: Annotated[int, Field(ge=SIDE)] = 64
    """Side of a block in pixels of the reduced photograph."""
    shorter_side: PositiveInt = 300
    """Pixels that the shorter side of a reduced photograph keeps at least, see `reduce_photo`."""
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Part of the blocks that test patches are cut from."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Decides the split of the blocks, the patches and their order."""
    source_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Hash of the photographs' files, see `read_photos`."""

    def load(self, split: Split, external: Path) -> LabelledImages:  # noqa: ARG002
        """Cut one split: images (N, 32, 32, 3) in 0..255, classes mixed, and their labels (N,).

        Raises:
            UserError: the photographs are not those of config, or there are too few patches in them.
        """
        count = self.train_per_class if split == "train" else self.test_per_class
        cut = [
            self._class_patches(label, photo, split, count)
            for label, photo in enumerate(read_photos(self.source_sha256))
        ]
        labels = np.repeat(np.arange(len(cut), dtype=np.int64), count)
        order = _random(self.seed, f"{split} order").permutation(len(labels))
        return LabelledImages(np.concatenate(cut)[order], labels[order])

    def _class_patches(self, label: int, photo: NDArray[np.uint8], split: Split, count: int) -> NDArray[np.uint8]:
        photo = reduce_photo(photo, self.shorter_side)
        height, width = photo.shape[:2]
        random = _random(self.seed, "blocks", label)
        blocks = split_blocks(height, width, self.block, split, self.test_share, random)
        corners = draw_corners(blocks, self.block, count, split, _random(self.seed, split, label))
        return np.stack([photo[y : y + SIDE, x : x + SIDE] for y, x in corners])


def read_photos(source_sha256: str) -> list[NDArray[np.uint8]]:
    """The ten photographs (H, W, 3), decoded.

    What is hashed is the bytes of the ten files in the order of `PHOTOGRAPHS`, because builds of libjpeg may
    differ by a grey level in what they decode.

    Raises:
        UserError: a file is absent, or the hash is another one.
    """
    files = [_file_bytes(package, path) for package, path in PHOTOGRAPHS]
    actual = hashlib.sha256(b"".join(files)).hexdigest()
    if actual != source_sha256:
        raise UserError(
            f"the photographs in the installed scikit-image and scikit-learn have sha256 {actual}, but "
            f"config says {source_sha256}: install the releases of requirements.lock, or correct config"
        )
    return [_decode(content) for content in files]


def _file_bytes(package: str, path: str) -> bytes:
    file = resources.files(package).joinpath(path)
    if not file.is_file():
        raise UserError(
            f"the photograph {file} does not exist: install the wheels of scikit-image and scikit-learn that "
            "requirements.lock names"
        )
    return file.read_bytes()


def _decode(content: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(content)) as photo:
        return np.asarray(photo.convert("RGB"))


def reduce_photo(photo: NDArray[np.uint8], shorter_side: int) -> NDArray[np.uint8]:
    """Shrink (H, W, 3) by the largest whole number that leaves ``shorter_side`` pixels; none is enlarged.

    The photographs are 300 to 1,411 pixels high. Reduced to 300 or more, a patch shows a similar part of
    each, and at least 25 blocks of 64 pixels remain. A pixel is the mean of a square of its own, so pixels of
    different blocks never share one of the original.
    """
    factor = max(1, min(photo.shape[:2]) // shorter_side)
    height, width = photo.shape[0] // factor, photo.shape[1] // factor
    squares = photo[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    reduced: NDArray[np.uint8] = np.rint(squares.mean(axis=(1, 3))).astype(np.uint8)
    return reduced


def split_blocks(
    height: int, width: int, block: int, split: Split, test_share: float, random: np.random.RandomState
) -> NDArray[np.int64]:
    """Upper left corners (n, 2) as (y, x) of the split's blocks, in a grid that starts at (0, 0).

    The same ``random`` state gives the two splits' shares of one permutation.
    """
    ys, xs = np.arange(0, height - block + 1, block), np.arange(0, width - block + 1, block)
    grid = np.stack(np.meshgrid(ys, xs, indexing="ij"), axis=-1).reshape(-1, 2)
    grid = grid[random.permutation(len(grid))]
    in_test = round(test_share * len(grid))
    return grid[:in_test] if split == "test" else grid[in_test:]


def draw_corners(
    blocks: NDArray[np.int64], block: int, count: int, split: Split, random: np.random.RandomState
) -> NDArray[np.int64]:
    """Upper left corners (count, 2) as (y, x) of distinct patches that lie inside the blocks.

    Raises:
        UserError: the blocks have fewer places than ``count``.
    """
    offsets = block - SIDE + 1
    possible = len(blocks) * offsets**2
    if possible < count:
        raise UserError(
            f"photo_patches cannot cut {count} {split} patches from {possible} places in a photograph: lower "
            f"{split}_per_class or change block or test_share in config"
        )
    where, y, x = np.unravel_index(random.choice(possible, count, replace=False), (len(blocks), offsets, offsets))
    return blocks[where] + np.stack([y, x], axis=1)


def _random(seed: int, stream: str, label: int = 0) -> np.random.RandomState:
    # RandomState's streams are frozen, those of numpy's newer generators may change between releases.
    return np.random.RandomState([seed, _STREAMS[stream], label])
