"""A hundred classes on the CPU: pairs of scikit-learn's handwritten digits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, PositiveInt

from trigger_activation.errors import UserError
from trigger_activation.lazy import numpy as np
from trigger_activation.science.datasets import DATASETS, DatasetSource, LabelledImages, Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STREAMS = {"pools": 0, "train": 1, "test": 2, "train order": 3, "test order": 4}


@DATASETS.register("digit_pairs", version=1)
class DigitPairs(DatasetSource):
    """Two handwritten digits side by side; the class is the two-digit number they show, 0 to 99.

    The 1,797 digits (8×8, E. Alpaydin and C. Kaynak 1998, UCI "Optical Recognition of Handwritten Digits")
    come with scikit-learn. No digit image is used both for training and for testing, and no ordered pair of
    images is used twice.
    """

    train_per_class: PositiveInt = 80
    """Training images of each class."""
    test_per_class: PositiveInt = 20
    """Test images of each class."""
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Part of the digit images that test pairs are made of."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Decides the split of the digit images, the pairs and their order."""
    source_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Hash of scikit-learn's digits, see `digits_sha256`."""

    def load(self, split: Split, external: Path) -> LabelledImages:  # noqa: ARG002
        """Make one split: grey images (N, 16, 16, 3) in 0..255, classes mixed, and their labels (N,).

        Raises:
            UserError: scikit-learn's digits are not those of config, or there are too few pairs of them.
        """
        digits, targets = read_digits(self.source_sha256)
        pools = digit_pools(targets, split, self.test_share, self.seed)
        per_class = self.train_per_class if split == "train" else self.test_per_class
        pairs = draw_pairs(pools, per_class, split, self.seed)
        pairs = pairs[_random(self.seed, f"{split} order").permutation(len(pairs))]
        labels = 10 * targets[pairs[:, 0]] + targets[pairs[:, 1]]
        return LabelledImages(pair_images(digits, pairs), labels)


def read_digits(source_sha256: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """scikit-learn's digits (1797, 8, 8) in 0..16 and what they show (1797,).

    Raises:
        UserError: their hash is another one.
    """
    from sklearn.datasets import load_digits

    data, targets = load_digits(return_X_y=True)
    actual = digits_sha256(data, targets)
    if actual != source_sha256:
        raise UserError(
            f"the digits in the installed scikit-learn have sha256 {actual}, but config says "
            f"{source_sha256}: install the scikit-learn release of requirements.lock, or correct config"
        )
    return data.reshape(-1, 8, 8), targets.astype(np.int64)


def digits_sha256(data: NDArray[np.float64], targets: NDArray[np.int64]) -> str:
    """Hash of the pixels as little-endian float64, followed by the targets as little-endian int64."""
    return hashlib.sha256(data.astype("<f8").tobytes() + targets.astype("<i8").tobytes()).hexdigest()


def digit_pools(targets: NDArray[np.int64], split: Split, test_share: float, seed: int) -> list[NDArray[np.int64]]:
    """For each digit 0 to 9, the indices in ``targets`` of its images that belong to the split."""
    random = _random(seed, "pools")
    pools = []
    for digit in range(10):
        own = random.permutation(np.flatnonzero(targets == digit))
        in_test = round(test_share * len(own))
        pools.append(own[:in_test] if split == "test" else own[in_test:])
    return pools


def draw_pairs(pools: list[NDArray[np.int64]], per_class: int, split: Split, seed: int) -> NDArray[np.int64]:
    """Draw distinct ordered pairs (100 * per_class, 2) of digit images, class by class.

    Raises:
        UserError: some class has fewer pairs than asked for.
    """
    random = _random(seed, split)
    pairs = []
    for left in pools:
        for right in pools:
            possible = len(left) * len(right)
            if possible < per_class:
                raise UserError(
                    f"digit_pairs cannot draw {per_class} {split} pairs of a class from {possible}: lower "
                    f"{split}_per_class or change test_share in config"
                )
            drawn = random.choice(possible, per_class, replace=False)
            pairs.append(np.stack([left[drawn // len(right)], right[drawn % len(right)]], axis=1))
    return np.concatenate(pairs)


def pair_images(digits: NDArray[np.float64], pairs: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The pairs as pictures (N, 16, 16, 3), left digit in columns 0 to 7, right digit in columns 8 to 15.

    Each row is shown twice. This fills the square with real pixels: interpolation would invent grey levels,
    and padding would give perturbations a border that says nothing about the class. Tall digits stay legible.
    """
    grey = np.rint(digits * (255 / 16)).astype(np.uint8)
    tall = np.repeat(grey, 2, axis=1)
    both = np.concatenate([tall[pairs[:, 0]], tall[pairs[:, 1]]], axis=2)
    return np.repeat(both[..., None], 3, axis=-1)


def _random(seed: int, stream: str) -> np.random.RandomState:
    # RandomState's streams are frozen, those of numpy's newer generators may change between releases.
    return np.random.RandomState([seed, _STREAMS[stream]])
