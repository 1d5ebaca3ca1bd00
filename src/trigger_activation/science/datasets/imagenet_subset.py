"""The first classes of ILSVRC-2012 (Russakovsky et al. 2015), from a folder of its JPEG files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveInt

from trigger_activation.errors import UserError
from trigger_activation.lazy import numpy as np
from trigger_activation.parameters import ExternalFile
from trigger_activation.science.datasets import DATASETS, DatasetSource, ImageStream, LabelledImages, Split
from trigger_activation.science.datasets._external import first_missing
from trigger_activation.science.datasets._files import middle_of, read_images

SYNSET = r"n\d{8}"
FOLDERS = {"train": "train", "test": "val"}


@DATASETS.register("imagenet_subset", version=1)
class ImageNetSubset(DatasetSource):
    """Training images, and validation images as the test set, sorted by class and by file name.

    Test images are what networks see: the shorter side reduced to 256 pixels (bilinear, antialiased) and the middle
    224×224 cut out. Of training images the middle 256×256 is stored, from which training crops at random. Crops of
    the files would need all of them decoded in every epoch, by several processes. The price is 25 GB on the disk,
    crops that do not reach the outer parts of the longer side, and small crops that are less sharp, since the store
    holds less detail than files of 500×375.
    """

    folder: ExternalFile = "imagenet"
    """Name of the folder among those from elsewhere, or of a link to it, with ``train/<synset>/*.JPEG`` and
    ``val/<synset>/*.JPEG``. No path of one machine, since the name is part of the recipe."""
    classes: PositiveInt = 100
    """How many of the synsets, in sorted order."""
    last_synset: Annotated[str, Field(pattern=f"^{SYNSET}$")] = "n01855672"
    """The last of them; another one shows that the folder holds another choice of classes."""
    shorter_side: PositiveInt = 256
    """To which images are resized, in pixels."""
    side: PositiveInt = 224
    """Of the test images, in pixels."""

    def missing(self, external: Path) -> str | None:
        """The sentence that asks for the folder, if it is not there."""
        folder = external / self.folder
        remedy = (
            f"put ILSVRC-2012, or a link to it, at {folder}, with its images as train/<synset>/*.JPEG and "
            "val/<synset>/*.JPEG"
        )
        return first_missing([folder / name for name in FOLDERS.values()], remedy)

    def stored_size(self, split: Split) -> int | None:
        """Training images keep a margin for random crops."""
        return self.shorter_side if split == "train" else None

    def load(self, split: Split, external: Path) -> LabelledImages:
        """Read one split: images (N, S, S, 3) in 0..255, decoded while they are written, and their labels (N,).

        Raises:
            UserError: the folder is absent or holds other classes; while images are read, one that is damaged.
        """
        if sentence := self.missing(external):
            raise UserError(sentence)
        synsets = first_synsets(external / self.folder / FOLDERS[split], self.classes, self.last_synset)
        files = [sorted(synset.glob("*.JPEG")) for synset in synsets]
        labels = np.repeat(np.arange(len(files)), [len(own) for own in files])
        side = self.stored_size(split) or self.side
        cut_out = middle_of(self.shorter_side, side)
        images = read_images(
            [file for own in files for file in own],
            lambda _, image: cut_out(image.convert("RGB")),
            "restore it from the ILSVRC-2012 archives",
        )
        return LabelledImages(ImageStream((len(labels), side, side, 3), images), labels)


def first_synsets(folder: Path, count: int, last: str) -> list[Path]:
    """The folders of the first synsets, sorted.

    Raises:
        UserError: there are too few, or the last is another one.
    """
    synsets = sorted(path for path in folder.iterdir() if re.fullmatch(SYNSET, path.name) and path.is_dir())
    if len(synsets) < count:
        raise UserError(
            f"{folder} has folders for {len(synsets)} synsets, but {count} are needed: complete it with the images of "
            "ILSVRC-2012, one folder for each class"
        )
    if synsets[count - 1].name != last:
        raise UserError(
            f"{folder}: synset {count} in sorted order is {synsets[count - 1].name}, but config says {last}: use all "
            "classes of ILSVRC-2012, or correct config"
        )
    return synsets[:count]
