"""Folders of images: what torchvision's ImageFolder reads, in an order of our own, and what is refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets as torchvision_datasets
from torchvision.transforms import v2 as transforms

from tests.support.projects import ROOT, Project, one_sentence, shipped_config
from tests.support.smoke_project import make
from trigger_activation.errors import UserError
from trigger_activation.plan import Plan
from trigger_activation.plan.artifacts import ProtocolArtifacts
from trigger_activation.plan.kinds import EXTERNAL
from trigger_activation.plan.variants import Variants
from trigger_activation.report.tables.facts import data_and_networks
from trigger_activation.science.datasets import DATASETS, Split
from trigger_activation.store.freshness import Freshness

FOLDER = EXTERNAL / "mine"
Pictures = set[tuple[int, bytes]]
"""Labels and pixels."""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def draw(folder: Path, classes: tuple[str, ...] = ("cat", "dog", "fox"), count: int = 4, mode: str = "RGB") -> None:
    """Smooth pictures of many sizes in folders of classes, as PNG and JPEG."""
    random = np.random.default_rng(len(str(folder)))
    for place, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            coarse = random.integers(0, 128, (4, 4, 3), np.uint8) + 40 * place
            size = (20 + number % 5, 24) if mode == "RGB" else (16, 16)
            picture = Image.fromarray(coarse.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC).convert(mode)
            picture.save(folder / name / f"{number:03}{('.png', '.JPG')[number % 2]}")


def draw_splits(count: int = 4, mode: str = "RGB") -> None:
    for split in ("train", "test"):
        draw(FOLDER / split, count=count, mode=mode)


def source(**parameters: Any) -> Any:
    return DATASETS["image_folder"](**{"folder": "mine", "side": 16, "fit": "cut", **parameters})


def told_hash(**parameters: Any) -> str:
    """The hash that a refused folder is told to have, or any where it is refused for something else."""
    found = re.search("[0-9a-f]{64}", refusal(sha256=None, **parameters))
    return found[0] if found else "0" * 64


def read(split: Split = "train", **parameters: Any) -> tuple[np.ndarray, np.ndarray]:
    parameters = {"sha256": told_hash(**parameters), **parameters} if "sha256" not in parameters else parameters
    data = source(**parameters).load(split, EXTERNAL)
    images = np.stack(list(data.images.images))
    assert (images.shape, images.dtype, data.labels.dtype) == (data.images.shape, np.uint8, np.int64)
    return images, data.labels


def refusal(**parameters: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(**parameters)
    return one_sentence(str(caught.value))


def pictures(images: np.ndarray, labels: np.ndarray) -> Pictures:
    return {(int(label), image.tobytes()) for image, label in zip(images, labels, strict=True)}


class TestReading:
    @pytest.mark.parametrize("split", ["train", "test"])
    @pytest.mark.parametrize("fit", ["cut", "stretch"])
    def test_it_is_what_torchvision_makes_of_the_folder(self, split: Split, fit: str) -> None:
        draw_splits()
        resizing = {
            "cut": transforms.Compose([transforms.Resize(16), transforms.CenterCrop(16)]),
            "stretch": transforms.Resize((16, 16)),
        }
        expected = list(torchvision_datasets.ImageFolder(str(FOLDER / split), resizing[fit]))
        assert len(expected) == 12
        assert pictures(*read(split, fit=fit)) == {(label, np.asarray(image).tobytes()) for image, label in expected}

    def test_grey_values_are_in_all_channels(self) -> None:
        draw_splits(mode="L")
        images, labels = read(colour="grey", fit="exact")
        expected = {(0, np.asarray(Image.open(file)).tobytes()) for file in (FOLDER / "train/cat").iterdir()}
        for channel in range(3):
            assert pictures(images[labels == 0][..., channel], labels[labels == 0]) == expected

    def test_the_order_is_mixed_and_kept(self) -> None:
        draw_splits(count=20)
        images, labels = read()
        assert set(labels[:12]) == {0, 1, 2}
        assert np.array_equal(images, read()[0])
        assert not np.array_equal(labels, read(seed=1)[1])

    def test_one_folder_is_split_by_class(self) -> None:
        draw(FOLDER, count=10)
        train, test = (pictures(*read(split, test_share=0.3)) for split in ("train", "test"))
        assert [sum(label == 1 for label, _ in part) for part in (train, test)] == [7, 3]
        assert len(train | test) == 30
        assert test != pictures(*read("test", test_share=0.3, seed=1))

    def test_the_hash_is_that_of_names_and_bytes(self) -> None:
        draw_splits()
        (FOLDER / "train/cat/.DS_Store").touch()
        (FOLDER / "README.md").touch()
        files = sorted(FOLDER.glob("t*/*/[0-9]*"), key=lambda file: str(file).encode())
        lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(FOLDER)}\n" for file in files]
        assert told_hash() == hashlib.sha256("".join(lines).encode()).hexdigest()


def _touch(file: str) -> Callable[[], object]:
    def act() -> None:
        (FOLDER / file).parent.mkdir(exist_ok=True)
        (FOLDER / file).touch()

    return act


def _save(mode: str, file: str) -> Callable[[], object]:
    return lambda: Image.new(mode, (20, 20)).save(FOLDER / file)


class TestBadInput:
    @pytest.mark.parametrize(
        ("act", "says"),
        [
            (lambda: (FOLDER / "test/emu").mkdir(), "mine/test/emu is an empty class: put images into it"),
            (_touch("train/cat/notes.txt"), "mine/train/cat/notes.txt is no image (of .bmp"),
            (lambda: (FOLDER / "train/cat/more").mkdir(), "mine/train/cat/more is no image"),
            (_touch("train/cat/zero.png"), "mine/train/cat/zero.png cannot be decoded (cannot identify"),
            (_touch("test/emu/one.png"), "mine/test/emu is a class that results/external/mine/train lacks"),
            (_touch("train/emu/one.png"), "mine/train/emu is a class that results/external/mine/test lacks"),
            (_touch("train/cat/000.bmp"), "train/cat/000.png has the name of results/external/mine/train/cat/000.bmp"),
            (
                _save("L", "train/dog/g.png"),
                "mine/train/dog/g.png is a grey image, but config/datasets declares `colour",
            ),
            (_save("P", "train/dog/g.png"), "mine/train/dog/g.png is an image of mode P, but"),
        ],
    )
    def test_it_is_refused_by_the_name_of_the_file(self, act: Callable[[], object], says: str) -> None:
        draw_splits()
        act()
        assert says in refusal()

    def test_a_folder_that_changed_is_told_with_its_newest_file(self) -> None:
        draw_splits()
        sha256, file = told_hash(), FOLDER / "test/fox/001.JPG"
        assert len(read(sha256=sha256)[0]) == 12
        file.write_bytes(file.read_bytes() + b"\0")
        sentence = refusal(sha256=sha256)
        assert f"says {sha256} (the file written last is {file})" in sentence
        file.rename(file.with_name("other.JPG"))
        assert told_hash() not in {sha256, sentence}

    def test_another_size_is_refused(self) -> None:
        draw_splits()
        assert re.search(r"\.(png|JPG) has 2\d×24 pixels, but .* `side: 16`", refusal(fit="exact"))

    def test_a_share_that_leaves_nothing_is_refused(self) -> None:
        draw(FOLDER)
        assert "mine/cat has 4 images, too few for a test_share of 0.1" in refusal(test_share=0.1)

    def test_a_missing_folder_is_asked_for(self) -> None:
        assert "mine/train is missing: put images as train/<class>/ and test/<class>/ into" in refusal()
        assert "mine is missing: put images as <class>/ into" in refusal(test_share=0.5)
        assert str(source(sha256=None, origin="git clone x").missing(EXTERNAL)).endswith("for example by `git clone x`")
        FOLDER.mkdir(parents=True)
        assert "mine has no folders: put the images of each class into one" in refusal(test_share=0.5)


class TestGuide:
    def test_a_drawn_folder_becomes_table_1(self, tmp_path: Path) -> None:
        guide = (ROOT / "docs/your-own-data.md").read_text(encoding="utf-8")
        project = Project.shipped(tmp_path)
        for file, text in re.findall(r"`config/(\S+/mine\.yaml)`.*?```yaml\n(.*?)```", guide, re.DOTALL):
            project.write(file, text)
        project.replace("protocols/mine.yaml", "epochs: 15", "epochs: 1")
        project.replace(
            "protocols/mine.yaml", "like: fashion16", "like: fashion16\nnetworks: [vgg-s]\nflip: null\ncost: null"
        )
        project.replace("protocols/mine.yaml", "steps: 20, batch_size: 30", "steps: 2, batch_size: 5")
        project.replace("protocols/mine.yaml", "images: 300", "images: 12")
        for split, count in (("train", 22), ("test", 4)):
            draw(EXTERNAL / "my-photos" / split, count=count)
        with pytest.raises(UserError, match="names and bytes of its 78 images") as caught:
            make(project.plan(), "results/datasets/my-photos/train.npz")
        project.replace("datasets/mine.yaml", "sha256: null", re.search("`(sha256: .*?)`", str(caught.value))[1])
        plan = project.plan()
        for artifact in plan.upstream([plan.targets["mine"]["table1"]]):
            make(plan, artifact.path)
        assert Freshness(plan).verdict(plan.targets["mine"]["table1"]).valid
        table = Path("paper_tables/mine/table1.md").read_text(encoding="utf-8")
        assert "My photographs; networks VGG (s)." in table
        assert "12 test images" in table


class TestJpegCopyOfCifar10:
    DECLARED = shipped_config().datasets["cifar10-jpeg"]

    def test_what_lies_there_is_what_config_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(ROOT)
        copy = DATASETS[self.DECLARED.class_](**self.DECLARED.parameters)
        if sentence := copy.missing(EXTERNAL):
            pytest.skip(sentence)
        data = copy.load("test", EXTERNAL)
        assert np.bincount(data.labels).tolist() == [1000] * 10
        assert next(iter(data.images.images)).shape == (32, 32, 3)

    def test_captions_tell_its_name_and_what_that_means(self) -> None:
        protocol = shipped_config().protocols["cifar10"].model_copy(update={"dataset": "cifar10-jpeg"})
        config = shipped_config().model_copy(update={"protocols": {"cifar10": protocol}})
        caption = data_and_networks(ProtocolArtifacts(config, "cifar10", Plan(), Variants(config)).facts())
        assert caption.startswith("CIFAR-10 (JPEG copy); networks ResNet-18, ")
        assert "JPEG as a defense is flattered" in caption
