"""Data sets: where images come from, behind one interface."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from trigger_activation.parameters import Parameters
from trigger_activation.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Split = Literal["train", "test"]


@dataclass(frozen=True)
class LabelledImages:
    """Images (N, H, W, 3) as uint8 and their labels (N,) as int64."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


class DatasetSource(Parameters):
    """A source of labelled images."""

    @abstractmethod
    def load(self, split: Split) -> LabelledImages:
        """Read one split, in an order that never changes.

        Raises:
            UserError: the source is absent, damaged or not the one whose sha256 is known.
        """


DATASETS: Registry[DatasetSource] = Registry("data set", __name__)
