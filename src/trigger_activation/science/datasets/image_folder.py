"""Any images that lie in a folder for each class."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveInt

from trigger_activation.errors import UserError
from trigger_activation.lazy import numpy as np
from trigger_activation.parameters import ExternalFile, Sha256
from trigger_activation.science.datasets import DATASETS, DatasetSource, ImageStream, LabelledImages, Split
from trigger_activation.science.datasets._external import first_missing
from trigger_activation.science.datasets._files import each, middle_of, read_images

if TYPE_CHECKING:
    import PIL.Image

FORMATS = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Those of torchvision's ImageFolder."""
MODES = {"rgb": "RGB", "grey": "L"}
"""Pillow's names."""
IN_WORDS = {"RGB": "an RGB image", "L": "a grey image"}
SPLITS: tuple[Split, Split] = ("train", "test")
_STREAMS = {"train": 0, "test": 1, "pools": 2}

Classes = Mapping[str, Sequence[Path]]
"""Name of a class -> its files, both sorted."""


@DATASETS.register("image_folder", version=1)
class ImageFolder(DatasetSource):
    """Images in the layout of torchvision's ImageFolder: ``train/<class>/*.png`` and ``test/<class>/*.png``.

    Classes are numbered in the order of their sorted names. Images come mixed, always in the same order, so that the
    first so many of them are of all classes. Pixels are taken as they are stored: no rotation that a camera noted, no
    colour profile. Files whose names begin with a dot are ignored.
    """

    folder: ExternalFile
    """Name of the folder among those from elsewhere, or of a link to it."""
    sha256: Sha256 | None
    """Over names and bytes of all images, see :func:`sha256_of`; None refuses the folder and tells it."""
    side: PositiveInt
    """Of the images that networks see, in pixels."""
    fit: Literal["exact", "cut", "stretch"] = "exact"
    """What is done to images of another size: ``exact`` refuses them; ``cut`` resizes the shorter side and cuts out the
    middle; ``stretch`` resizes both sides. Resizing is bilinear and antialiased."""
    colour: Literal["rgb", "grey"] = "rgb"
    """What the files hold, with 8 bits a channel; others are refused. Grey values go to all three channels."""
    test_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of a folder ``<class>/*.png`` that is not split yet: the part of each class that is drawn for testing."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Decides the order of the images, and their split where there is none yet."""
    origin: str | None = None
    """A shell command that brings the folder, for messages."""

    def missing(self, external: Path) -> str | None:
        """The sentence that asks for the folder, if it is not there."""
        root = external / self.folder
        layout = "train/<class>/ and test/<class>/" if self.test_share is None else "<class>/"
        example = f", for example by `{self.origin}`" if self.origin else ""
        return first_missing(self._folders(root), f"put images as {layout} into {root}, or make that a link{example}")

    def load(self, split: Split, external: Path) -> LabelledImages:
        """Read one split: images (N, side, side, 3) in 0..255, decoded while they are written, and their labels (N,).

        Raises:
            UserError: the folder is absent, not the one declared, not declared yet, or not as it must be; while images
                are read, one that is damaged, of another size or another colour.
        """
        if sentence := self.missing(external):
            raise UserError(sentence)
        root = external / self.folder
        found = [files_of_classes(folder) for folder in self._folders(root)]
        check_same_classes(root, found)
        self._check_hash(root, sorted(file for classes in found for own in classes.values() for file in own))
        chosen = found[SPLITS.index(split)] if self.test_share is None else self._drawn(split, found[0])
        labels = np.repeat(np.arange(len(chosen)), [len(own) for own in chosen.values()])
        order = self._random(split).permutation(len(labels))
        files = [file for own in chosen.values() for file in own]
        images = read_images([files[place] for place in order], self._prepared, "restore it, or remove it")
        return LabelledImages(ImageStream((len(order), self.side, self.side, 3), images), labels[order])

    def _folders(self, root: Path) -> list[Path]:
        return [root] if self.test_share is not None else [root / split for split in SPLITS]

    def _random(self, stream: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, _STREAMS[stream]])

    def _check_hash(self, root: Path, files: Sequence[Path]) -> None:
        actual = sha256_of(root, files)
        has = f"{root} has the sha256 {actual} over the names and bytes of its {len(files):,} images"
        if self.sha256 is None:
            raise UserError(
                f"{has}, which config/datasets does not name yet: make sure that it is the folder you mean, then "
                f"write `sha256: {actual}` beside its name"
            )
        if actual != self.sha256:
            newest = max(files, key=lambda file: file.stat().st_mtime)
            raise UserError(
                f"{has}, but config/datasets says {self.sha256} (the file written last is {newest}): restore the "
                f"folder, or write `sha256: {actual}` if this one is meant"
            )

    def _drawn(self, split: Split, classes: Classes) -> Classes:
        """The part of each class that belongs to a split, sorted."""
        random, chosen = self._random("pools"), {}
        for name, files in classes.items():
            in_test = round(float(self.test_share or 0) * len(files))
            if in_test in {0, len(files)}:
                raise UserError(
                    f"{files[0].parent} has {len(files)} images, too few for a test_share of {self.test_share} and "
                    "some to train on: add images, or change test_share in config/datasets"
                )
            places = random.permutation(len(files))
            chosen[name] = [files[place] for place in sorted(places[:in_test] if split == "test" else places[in_test:])]
        return chosen

    def _prepared(self, file: Path, image: PIL.Image.Image) -> PIL.Image.Image:
        """An image as networks see it, RGB.

        Raises:
            UserError: it is of another colour or size.
        """
        expected = MODES[self.colour]
        if image.mode != expected:
            what = IN_WORDS.get(image.mode, f"an image of mode {image.mode}")
            raise UserError(
                f"{file} is {what}, but config/datasets declares `colour: {self.colour}`, so that each file must be "
                f"{IN_WORDS[expected]}: convert it, or correct `colour`"
            )
        if self.fit == "exact" and image.size != (self.side, self.side):
            raise UserError(
                f"{file} has {image.width}×{image.height} pixels, but config/datasets declares `side: {self.side}`: "
                "correct `side`, or let `fit` be cut or stretch"
            )
        rgb = image.convert("RGB")
        if self.fit == "stretch":
            from PIL import Image

            return rgb.resize((self.side, self.side), Image.Resampling.BILINEAR)
        return middle_of(self.side, self.side)(rgb) if self.fit == "cut" else rgb


def files_of_classes(folder: Path) -> Classes:
    """The files of each class in a folder.

    Raises:
        UserError: there is no class, one is empty, or it holds something else than images of different names.
    """
    classes = {path.name: _images_in(path) for path in _visible(folder) if path.is_dir()}
    if not classes:
        raise UserError(f"{folder} has no folders: put the images of each class into one of its own")
    return classes


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _images_in(folder: Path) -> list[Path]:
    files = _visible(folder)
    if not files:
        raise UserError(f"{folder} is an empty class: put images into it, or remove it")
    by_stem: dict[str, Path] = {}
    for file in files:
        if file.suffix.lower() not in FORMATS or not file.is_file():
            raise UserError(f"{file} is no image (of {', '.join(FORMATS)}): remove it")
        other = by_stem.setdefault(file.stem.lower(), file)
        if other is not file:
            raise UserError(f"{file} has the name of {other}: remove one if they are the same image, or rename it")
    return files


def check_same_classes(root: Path, found: Sequence[Classes]) -> None:
    """Training and test images are of the same classes.

    Raises:
        UserError: naming a folder without a counterpart.
    """
    for split, own, others in zip(SPLITS, found, reversed(found), strict=False):
        if alone := sorted(own.keys() - others.keys()):
            other = root / next(name for name in SPLITS if name != split)
            raise UserError(
                f"{root / split / alone[0]} is a class that {other} lacks: add the folder there, or remove it here"
            )


def sha256_of(root: Path, files: Sequence[Path]) -> str:
    """The sha256 of what ``sha256sum`` prints for some sorted files, their names relative to a folder.

    In a shell: ``find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum``, where there are only images.
    """
    hashes = each(files, lambda file: hashlib.sha256(file.read_bytes()).hexdigest())
    lines = (f"{digest}  {file.relative_to(root).as_posix()}\n" for digest, file in zip(hashes, files, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
