"""The embedded data sets: what they hold, that they never change, and that training never sees test data."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml

from trigger_activation.errors import UserError
from trigger_activation.plan.kinds import EXTERNAL
from trigger_activation.science.datasets import DATASETS, DatasetSource, LabelledImages, Split, packed
from trigger_activation.science.datasets import digit_pairs as pairs
from trigger_activation.science.datasets import photo_patches as photos

ROOT = Path(__file__).resolve().parents[2]
ENTRIES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "config/datasets/embedded.yaml").read_text())
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
SPLITS: tuple[Split, ...] = get_args(Split)
SIZES = {
    "fashion16": {"train": 8_000, "test": 2_000},
    "digit-pairs": {"train": 8_000, "test": 2_000},
    "photos32": {"train": 4_000, "test": 1_000},
}
NO_HASH = "0" * 64


def source(name: str, **changes: object) -> DatasetSource:
    entry = ENTRIES[name]
    return DATASETS[entry["class"]](**{**entry["parameters"], **changes})


@cache
def loaded(name: str, split: Split) -> LabelledImages:
    return source(name).load(split, EXTERNAL)


def as_rows(data: LabelledImages) -> set[bytes]:
    return {image.tobytes() for image in data.images}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", ENTRIES)
class TestEveryDataset:
    def test_has_the_shape_that_config_says(self, name: str, split: Split) -> None:
        data, side = loaded(name, split), ENTRIES[name]["image_size"]
        assert data.images.shape == (SIZES[name][split], side, side, 3)
        assert data.images.dtype == np.uint8
        assert data.labels.shape == data.images.shape[:1]
        assert data.labels.dtype == np.int64

    def test_has_every_class_about_equally_often(self, name: str, split: Split) -> None:
        counts = np.bincount(loaded(name, split).labels)
        assert len(counts) == ENTRIES[name]["classes"]
        # Fashion-MNIST is a random part of a balanced set, the others are balanced exactly.
        slack = 0.15 if name == "fashion16" else 0
        assert np.all(np.abs(counts - counts.mean()) <= slack * counts.mean())

    def test_mixes_the_classes(self, name: str, split: Split) -> None:
        labels = loaded(name, split).labels
        assert np.mean(labels[1:] == labels[:-1]) < 0.2

    def test_uses_the_pixel_range(self, name: str, split: Split) -> None:
        images = loaded(name, split).images
        assert images.min() == 0
        assert images.max() >= 250

    def test_loads_the_same_bytes_again(self, name: str, split: Split) -> None:
        again = source(name).load(split, EXTERNAL)
        assert again.images.tobytes() == loaded(name, split).images.tobytes()
        assert again.labels.tobytes() == loaded(name, split).labels.tobytes()


@pytest.mark.parametrize("name", ENTRIES)
def test_no_test_image_is_also_a_training_image(name: str) -> None:
    assert not as_rows(loaded(name, "train")) & as_rows(loaded(name, "test"))


@pytest.mark.parametrize("name", ["digit-pairs", "photos32"])
def test_another_seed_gives_other_images(name: str) -> None:
    other = source(name, seed=1).load("test", EXTERNAL)
    assert other.images.tobytes() != loaded(name, "test").images.tobytes()


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("digit-pairs", "install the scikit-learn release"), ("photos32", "install the releases")],
)
def test_other_sources_in_the_wheels_are_refused(name: str, remedy: str) -> None:
    with pytest.raises(UserError, match=f"sha256 .* config says {NO_HASH}: {remedy}"):
        source(name, source_sha256=NO_HASH).load("train", EXTERNAL)


@pytest.mark.parametrize("name", ["digit-pairs", "photos32"])
def test_asking_for_too_many_names_the_parameter(name: str) -> None:
    with pytest.raises(UserError, match="lower test_per_class"):
        source(name, test_per_class=100_000).load("test", EXTERNAL)


def test_importing_the_modules_loads_no_heavy_library() -> None:
    code = (
        "import sys; from trigger_activation.science.datasets import DATASETS; DATASETS.names(); "
        "print(*{'numpy', 'torch', 'sklearn', 'skimage', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


class TestPacked:
    def test_grey_is_repeated_to_three_equal_channels(self) -> None:
        images = loaded("fashion16", "test").images
        assert np.array_equal(images[..., 0], images[..., 1])
        assert np.array_equal(images[..., 0], images[..., 2])

    def test_a_wrong_hash_names_the_file_and_the_remedy(self) -> None:
        with pytest.raises(UserError, match=r"fashion16\.npz has sha256 .*: restore the file") as caught:
            source("fashion16", sha256=NO_HASH).load("train", EXTERNAL)
        assert "\n" not in str(caught.value)

    def test_a_missing_file_names_the_file_and_the_remedy(self) -> None:
        with pytest.raises(UserError, match=r"nothing\.npz does not exist: reinstall"):
            source("fashion16", file="nothing.npz").load("train", EXTERNAL)

    def test_a_flipped_bit_is_found(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        content = bytearray(packed.data_folder().joinpath("fashion16.npz").read_bytes())
        content[len(content) // 2] ^= 1
        (tmp_path / "fashion16.npz").write_bytes(content)
        monkeypatch.setattr(packed, "data_folder", lambda: tmp_path)
        with pytest.raises(UserError, match=r"fashion16\.npz has sha256"):
            source("fashion16").load("test", EXTERNAL)

    def test_its_licence_lies_beside_it(self) -> None:
        licence = packed.data_folder().joinpath("fashion16.LICENSE").read_text()
        assert "Copyright (c) 2017 Zalando SE" in licence


class TestPackScript:
    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        script = ROOT / "scripts/pack_fashion16.py"
        return subprocess.run(
            [sys.executable, str(script), *map(str, arguments)], capture_output=True, text=True, check=False
        )

    @pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
    def test_check_reproduces_the_committed_file(self) -> None:
        done = self.run(FASHION_MNIST, "--check")
        assert done.returncode == 0, done.stderr
        assert "identical" in done.stdout

    @pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
    def test_check_refuses_another_file(self, tmp_path: Path) -> None:
        other = tmp_path / "other.npz"
        np.savez_compressed(other, train_images=np.zeros((1, 16, 16), dtype=np.uint8))
        done = self.run(FASHION_MNIST, "--check", "--output", other)
        assert done.returncode == 1
        assert str(other) in done.stderr

    def test_a_wrong_folder_is_named_without_a_traceback(self, tmp_path: Path) -> None:
        done = self.run(tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith(str(tmp_path))


class TestDigitPairs:
    def pools(self, split: Split) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
        _, targets = self.digits()
        return pairs.digit_pools(targets, split, test_share=0.2, seed=0)

    def digits(self) -> tuple[Any, Any]:
        return pairs.read_digits(ENTRIES["digit-pairs"]["parameters"]["source_sha256"])

    def test_no_digit_is_in_both_splits_and_none_is_lost(self) -> None:
        train, test = (set(np.concatenate(self.pools(split)).tolist()) for split in SPLITS)
        assert not train & test
        assert train | test == set(range(1797))

    def test_pools_hold_their_own_digit(self) -> None:
        _, targets = self.digits()
        for split in SPLITS:
            for digit, pool in enumerate(self.pools(split)):
                assert set(targets[pool].tolist()) == {digit}

    @pytest.mark.parametrize("split", SPLITS)
    def test_no_pair_is_drawn_twice(self, split: Split) -> None:
        drawn = pairs.draw_pairs(self.pools(split), 20, split, seed=0)
        assert drawn.shape == (2_000, 2)
        assert len(np.unique(drawn, axis=0)) == 2_000

    @pytest.mark.parametrize("split", SPLITS)
    def test_images_show_digits_of_their_split_that_spell_the_label(self, split: Split) -> None:
        digits, _ = self.digits()
        shown = np.rint(digits * 255 / 16).astype(np.uint8)
        known = {shown[index].tobytes(): digit for digit, pool in enumerate(self.pools(split)) for index in pool}
        data = loaded("digit-pairs", split)
        for image, label in zip(data.images[:500, ::2, :, 0], data.labels, strict=False):
            assert 10 * known[image[:, :8].tobytes()] + known[image[:, 8:].tobytes()] == label

    def test_levels_are_spread_over_the_whole_range(self) -> None:
        digits = np.arange(17.0)[:, None, None] * np.ones((1, 8, 8))
        image = pairs.pair_images(digits, np.array([[0, 16], [8, 1]]))
        assert image[:, 0, [0, 15], 0].tolist() == [[0, 255], [128, 16]]


class TestPhotoPatches:
    def covered(self, split: Split, block: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """How often each pixel lies in a patch of the split."""
        random = np.random.RandomState
        blocks = photos.split_blocks(300, 451, block, split, 0.2, random(3))
        count = np.zeros((300, 451), dtype=np.int64)
        for y, x in photos.draw_corners(blocks, block, 400, split, random(4)):
            assert any(by <= y <= by + block - 32 and bx <= x <= bx + block - 32 for by, bx in blocks)
            count[y : y + 32, x : x + 32] += 1
        return count

    @pytest.mark.parametrize("block", [48, 64, 100])
    def test_no_pixel_is_in_patches_of_both_splits(self, block: int) -> None:
        train, test = self.covered("train", block), self.covered("test", block)
        assert train.sum() == test.sum() == 400 * 32 * 32
        assert not np.any((train > 0) & (test > 0))

    def test_every_block_belongs_to_one_split(self) -> None:
        train, test = (photos.split_blocks(300, 451, 64, split, 0.2, np.random.RandomState(0)) for split in SPLITS)
        assert (len(train), len(test)) == (22, 6)
        assert len(np.unique(np.concatenate([train, test]), axis=0)) == 28

    def test_no_place_is_drawn_twice(self) -> None:
        corners = photos.draw_corners(np.array([[0, 64]]), 64, 33 * 33, "train", np.random.RandomState(0))
        assert len(np.unique(corners, axis=0)) == 33 * 33

    def test_reducing_takes_means_of_whole_squares(self) -> None:
        photo = np.arange(6 * 7 * 3, dtype=np.uint8).reshape(6, 7, 3)
        reduced = photos.reduce_photo(photo, shorter_side=3)
        assert reduced.shape == (3, 3, 3)
        assert reduced[0, 0, 0] == np.rint(photo[:2, :2, 0].mean())
        assert np.array_equal(photos.reduce_photo(photo, shorter_side=4), photo)

    def test_the_label_is_the_photograph(self) -> None:
        data = loaded("photos32", "train")
        mean = data.images[data.labels == photos.PHOTOGRAPHS.index(("skimage", "data/retina.jpg"))].mean((0, 1, 2))
        assert mean[0] > 1.5 * mean[1]

    def test_an_absent_photograph_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(photos, "PHOTOGRAPHS", (("skimage", "data/nothing.png"),))
        with pytest.raises(UserError, match=r"nothing\.png does not exist: install the wheels"):
            source("photos32").load("test", EXTERNAL)
