"""Data sets: where images come from, behind one interface."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trigger_activation.parameters import Parameters
from trigger_activation.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Split = Literal["train", "test"]


@dataclass(frozen=True)
class ImageStream:
    """Images as uint8 that memory may not hold: they are made one after another while they are written."""

    shape: tuple[int, int, int, int]
    """(N, H, W, 3)."""
    images: Iterable[NDArray[np.uint8]]
    """N of (H, W, 3), to be read once."""


@dataclass(frozen=True)
class LabelledImages:
    """Images (N, H, W, 3) as uint8 and their labels (N,) as int64."""

    images: NDArray[np.uint8] | ImageStream
    labels: NDArray[np.int64]


class DatasetSource(Parameters):
    """A source of labelled images."""

    def missing(self, external: Path) -> str | None:  # noqa: ARG002
        """What the user must put into the folder of files from elsewhere, as a sentence; None if it is there."""
        return None

    def stored_size(self, split: Split) -> int | None:  # noqa: ARG002
        """Side in pixels of images that are larger than what networks see; None where they are not.

        Training crops them at random; where they are looked at whole, their middle is.
        """
        return None

    @abstractmethod
    def load(self, split: Split, external: Path) -> LabelledImages:
        """Read one split, in an order that never changes.

        Args:
            split: which one.
            external: the folder where files lie that users supply; of no use to data that comes with the project.

        Raises:
            UserError: the source is absent, damaged or not the one whose sha256 is known.
        """


DATASETS: Registry[DatasetSource] = Registry("data set", __name__)
