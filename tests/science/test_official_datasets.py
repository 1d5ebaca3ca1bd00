"""Data sets from files that the user supplies: tiny ones in exactly the official formats, through the real readers."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import re
import struct
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torchvision import datasets as torchvision_datasets
from torchvision.transforms import v2 as transforms

from tests.support.projects import Project, one_sentence
from tests.support.smoke_project import make
from trigger_activation.errors import UserError
from trigger_activation.plan import Plan
from trigger_activation.plan.kinds import EXTERNAL
from trigger_activation.run import job as jobs
from trigger_activation.run.job import Job
from trigger_activation.run.spec import Spec, read_spec, write_spec
from trigger_activation.run.workflow import obstacle
from trigger_activation.science.datasets import DATASETS, LabelledImages, Split, fashion_mnist
from trigger_activation.science.datasets.cifar import LAYOUTS
from trigger_activation.science.datasets.imagenet_subset import first_synsets

CIFAR10, CIFAR100 = "cifar-10-python.tar.gz", "cifar-100-python.tar.gz"
RANDOM = np.random.default_rng(0)
DEBIAN = fashion_mnist.DEBIAN


@pytest.fixture(autouse=True)
def external(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's files, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    EXTERNAL.mkdir(parents=True)
    return EXTERNAL


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The shipped config in the working folder."""
    return Project.shipped(tmp_path)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_all(source: str, split: Split, parameters: dict[str, Any]) -> None:
    images = DATASETS[source](**parameters).load(split, EXTERNAL).images
    list(getattr(images, "images", []))


def refusal(source: str, split: Split = "train", **parameters: Any) -> str:
    """The sentence with which a source refuses to be read."""
    with pytest.raises(UserError) as caught:
        read_all(source, split, parameters)
    return one_sentence(str(caught.value))


class Python2Pickler(pickle._Pickler):
    """Writes text as Python 2 did, which knew no other bytes."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)

    def save_text(self, value: str | bytes) -> None:
        content = value.encode() if isinstance(value, str) else value
        short = len(content) < 256
        head = pickle.SHORT_BINSTRING if short else pickle.BINSTRING
        self.write(head + struct.pack("<B" if short else "<i", len(content)) + content)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_text


def pickled(content: object) -> bytes:
    """As in the official archives: protocol 2, text of Python 2, arrays under the names of NumPy 1."""
    stream = io.BytesIO()
    Python2Pickler(stream, protocol=2).dump(content)
    return stream.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def write_archive(file: str, members: Mapping[str, bytes]) -> dict[str, str]:
    """An archive under results/external, and the parameters that name it."""
    with tarfile.open(EXTERNAL / file, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return {"file": file, "sha256": sha256(EXTERNAL / file)}


def batch(key: str, classes: int) -> dict[str, Any]:
    """A few images as one of CIFAR's batches holds them."""
    labels = {"coarse_labels": [0] * 4} if key == "fine_labels" else {}
    pixels = RANDOM.integers(0, 256, (4, 3072), dtype=np.uint8)
    return {"data": pixels, key: RANDOM.integers(0, classes, 4).tolist(), "filenames": ["a.png"] * 4, **labels}


def cifar(file: str, **changes: bytes) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Parameters of a tiny archive with its members out of order, and the content of these."""
    layout = LAYOUTS[file]
    key, classes = layout.labels.decode(), 10 if file == CIFAR10 else 100
    content = {name: batch(key, classes) for name in (*layout.train, *layout.test)}
    meta = layout.test[0].replace("test_batch", "batches.meta").replace("/test", "/meta")
    names = {"label_names": ["a"], "fine_label_names": ["a"]}
    members = {name: pickled(value) for name, value in [*reversed(content.items()), (meta, names)]}
    return write_archive(file, {**members, **changes}), content


@pytest.mark.parametrize("file", [CIFAR10, CIFAR100])
class TestCifar:
    @pytest.mark.parametrize("split", ["train", "test"])
    def test_images_and_labels_are_those_of_the_batches_in_their_order(self, file: str, split: Split) -> None:
        parameters, content = cifar(file)
        data = DATASETS["cifar"](**parameters).load(split, EXTERNAL)
        batches = [content[name] for name in getattr(LAYOUTS[file], split)]
        pixels = [row for batch in batches for row in batch["data"]]
        for image, row in zip(data.images, pixels, strict=True):
            for y, x, channel in ((0, 0, 0), (0, 31, 1), (31, 0, 2), (17, 5, 1)):
                assert image[y, x, channel] == row[channel * 1024 + y * 32 + x]
        assert data.labels.tolist() == [label for batch in batches for label in batch[LAYOUTS[file].labels.decode()]]
        assert (data.images.dtype, data.labels.dtype) == (np.uint8, np.int64)

    @pytest.mark.parametrize("split", ["train", "test"])
    def test_torchvision_reads_the_same(self, file: str, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
        parameters, _ = cifar(file)
        with tarfile.open(EXTERNAL / file) as archive:
            archive.extractall(filter="data")
        monkeypatch.setattr(torchvision_datasets.cifar, "check_integrity", lambda *_: True)
        reader = torchvision_datasets.CIFAR10 if file == CIFAR10 else torchvision_datasets.CIFAR100
        expected = reader(".", train=split == "train")
        data = DATASETS["cifar"](**parameters).load(split, EXTERNAL)
        assert np.array_equal(data.images, expected.data)
        assert data.labels.tolist() == expected.targets

    def test_a_missing_archive_is_asked_for(self, file: str) -> None:
        sentence = refusal("cifar", file=file, sha256="0" * 64)
        assert sentence.startswith(f"results/external/{file} is missing: download https://www.cs.toronto.edu/~kriz/")
        assert DATASETS["cifar"](file=file, sha256="0" * 64).missing(EXTERNAL) == sentence

    def test_another_archive_is_refused_before_it_is_read(self, file: str) -> None:
        (EXTERNAL / file).write_bytes(b"no archive")
        assert f"has sha256 {sha256(EXTERNAL / file)}, but config says" in refusal("cifar", file=file, sha256="0" * 64)

    @pytest.mark.parametrize("name", ["os.mkdir", "builtins.eval", "numpy.memmap", "numpy.core.multiarray.scalar"])
    def test_a_pickle_that_asks_for_anything_else_is_not_executed(self, file: str, name: str) -> None:
        module, _, function = name.rpartition(".")
        harmful = f"c{module}\n{function}\n(S'owned'\ntR.".encode()
        parameters, _ = cifar(file, **{LAYOUTS[file].train[0]: harmful})
        assert f"it asks for {name}" in refusal("cifar", **parameters)
        assert not Path("owned").exists()

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x80\x02}.",
            pickled({"data": np.zeros((2, 3072), np.uint8), "labels": [1], "fine_labels": [1]}),
            pickled({"data": np.zeros((1, 3072), np.int64), "labels": [1], "fine_labels": [1]}),
        ],
        ids=["empty", "no images", "too few labels", "no bytes"],
    )
    def test_a_batch_of_something_else_is_refused(self, file: str, content: bytes) -> None:
        parameters, _ = cifar(file, **{LAYOUTS[file].test[0]: content})
        assert "cannot be read as" in refusal("cifar", "test", **parameters)

    def test_an_archive_without_a_batch_names_it(self, file: str) -> None:
        parameters = write_archive(file, {"readme": b""})
        assert f"it has no {LAYOUTS[file].train[0]}" in refusal("cifar", **parameters)

    def test_half_an_archive_is_refused(self, file: str) -> None:
        cifar(file)
        path = EXTERNAL / file
        path.write_bytes(path.read_bytes()[:2000])
        assert "cannot be read as" in refusal("cifar", file=file, sha256=sha256(path))


SYNSETS = {"n01440764": ["b", "a"], "n01443537": ["c"], "n01484850": ["d", "e"], "n09999999": ["f"]}
THREE = {"classes": 3, "last_synset": "n01484850"}


def write_photos(synsets: Mapping[str, Iterable[str]] = SYNSETS) -> None:
    """Photographs of any shape and colour mode in the folders of their classes."""
    modes = {"a": ("RGB", 300, 400), "b": ("L", 500, 375), "c": ("CMYK", 270, 256), "d": ("RGB", 200, 90)}
    for folder in ("train", "val"):
        for synset, names in synsets.items():
            (EXTERNAL / "imagenet" / folder / synset).mkdir(parents=True)
            for name in names:
                mode, width, height = modes.get(name, ("RGB", 256, 256))
                smooth = RANDOM.integers(0, 256, (4, 5, 3), dtype=np.uint8)
                photo = Image.fromarray(smooth).resize((width, height), Image.Resampling.BICUBIC).convert(mode)
                photo.save(EXTERNAL / "imagenet" / folder / synset / f"{name}.JPEG")


def stacked(data: LabelledImages) -> NDArray[np.uint8]:
    images = np.stack(list(data.images.images))
    assert images.shape == data.images.shape
    return images


class TestImageNetSubset:
    @pytest.mark.parametrize(("split", "folder", "side"), [("train", "train", 256), ("test", "val", 224)])
    def test_it_is_what_torchvision_makes_of_the_folder(self, split: Split, folder: str, side: int) -> None:
        write_photos()
        data = DATASETS["imagenet_subset"](**THREE).load(split, EXTERNAL)
        transform = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(side)])
        expected = torchvision_datasets.ImageFolder(str(EXTERNAL / "imagenet" / folder), transform)
        images, labels = zip(*list(expected)[:5], strict=True)
        assert np.array_equal(stacked(data), np.stack([np.asarray(image) for image in images]))
        assert data.labels.tolist() == list(labels) == [0, 0, 1, 2, 2]
        assert data.labels.dtype == np.int64

    @pytest.mark.parametrize("split", ["train", "test"])
    def test_ninety_nine_classes_are_refused(self, split: Split) -> None:
        write_photos({f"n{number:08}": () for number in range(99)})
        assert "has folders for 99 synsets, but 100 are needed" in refusal("imagenet_subset", split)

    def test_another_choice_of_a_hundred_classes_is_refused(self) -> None:
        write_photos({f"n{number:08}": () for number in range(100)})
        assert "synset 100 in sorted order is n00000099, but config says n01855672" in refusal("imagenet_subset")

    def test_the_first_classes_of_more_are_taken_and_other_folders_ignored(self) -> None:
        write_photos({**SYNSETS, "thumbnails": ()})
        chosen = first_synsets(EXTERNAL / "imagenet/train", 3, "n01484850")
        assert [folder.name for folder in chosen] == ["n01440764", "n01443537", "n01484850"]

    def test_a_damaged_photograph_is_named(self) -> None:
        write_photos()
        path = EXTERNAL / "imagenet/val/n01484850/d.JPEG"
        path.write_bytes(path.read_bytes()[:600])
        assert f"{path} cannot be decoded" in refusal("imagenet_subset", "test", **THREE)
        path.write_text("no photograph")
        assert f"{path} cannot be decoded" in refusal("imagenet_subset", "test", **THREE)

    def test_a_missing_folder_is_asked_for(self) -> None:
        assert "results/external/imagenet/train is missing: put ILSVRC-2012" in refusal("imagenet_subset")

    def test_photographs_that_are_not_sorted_into_classes_are_refused(self) -> None:
        (EXTERNAL / "imagenet/train").mkdir(parents=True)
        (EXTERNAL / "imagenet/val").mkdir()
        assert "one folder for each class" in refusal("imagenet_subset", "test")


def write_idx(folder: Path, name: str, values: NDArray[np.uint8]) -> str:
    """A file as the official ones, and the hash of what is compressed in it."""
    folder.mkdir(parents=True, exist_ok=True)
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    content = head + values.tobytes()
    (folder / name).write_bytes(gzip.compress(content))
    return hashlib.sha256(content).hexdigest()


def fashion(folder: Path) -> tuple[dict[str, Any], dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]]:
    """Parameters of tiny files, and what these hold."""
    hashes, content = {}, {}
    for split, (images, labels) in fashion_mnist.FILES.items():
        content[split] = RANDOM.integers(0, 256, (5, 28, 28), np.uint8), RANDOM.integers(0, 10, 5, np.uint8)
        hashes[split] = {
            "images": write_idx(folder, images, content[split][0]),
            "labels": write_idx(folder, labels, content[split][1]),
        }
    return hashes, content


class TestFashionMnist:
    @pytest.mark.parametrize("folder", ["results/external/fashion-mnist", "debian"])
    @pytest.mark.parametrize("split", ["train", "test"])
    def test_grey_values_are_in_all_channels(self, split: Split, folder: str) -> None:
        hashes, content = fashion(Path(folder))
        source = DATASETS["fashion_mnist"](**hashes)
        assert source.missing(EXTERNAL) is None
        data = source.load(split, EXTERNAL)
        for channel in range(3):
            assert np.array_equal(data.images[..., channel], content[split][0])
        assert data.labels.tolist() == content[split][1].tolist()
        assert data.labels.dtype == np.int64

    @pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
    def test_what_debian_installs_is_what_config_names(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fashion_mnist, "DEBIAN", DEBIAN)
        source = project.plan()["results/datasets/fashion28/test.npz"].settings["source"]
        for split, count in (("train", 60_000), ("test", 10_000)):
            data = DATASETS.instance(source).load(split, EXTERNAL)
            assert data.images.shape == (count, 28, 28, 3)
            assert np.bincount(data.labels).tolist() == [count // 10] * 10

    def test_missing_files_are_asked_for(self) -> None:
        hashes, _ = fashion(EXTERNAL / fashion_mnist.FOLDER)
        (EXTERNAL / fashion_mnist.FOLDER / "t10k-labels-idx1-ubyte.gz").unlink()
        sentence = refusal("fashion_mnist", "test", **hashes)
        assert "fashion-mnist/t10k-labels-idx1-ubyte.gz is missing: put the four .gz files" in sentence
        assert DATASETS["fashion_mnist"](**hashes).missing(EXTERNAL) == sentence

    @pytest.mark.parametrize("role", ["images", "labels"])
    def test_another_file_is_refused(self, role: str) -> None:
        hashes, _ = fashion(EXTERNAL / fashion_mnist.FOLDER)
        hashes["train"][role] = "0" * 64
        sentence = refusal("fashion_mnist", **hashes)
        assert re.search(rf"train-{role}-idx.-ubyte.gz, decompressed, has sha256 .* config says 000", sentence)

    def test_a_file_that_is_not_compressed_is_refused(self) -> None:
        hashes, _ = fashion(EXTERNAL / fashion_mnist.FOLDER)
        (EXTERNAL / fashion_mnist.FOLDER / "train-images-idx3-ubyte.gz").write_bytes(b"something else")
        assert "cannot be read as an idx file" in refusal("fashion_mnist", **hashes)

    @pytest.mark.parametrize("content", [b"\0\0\x09\x01\0\0\0\0", b"\0\0\x08\x01\0\0\0\x02\1", b""])
    def test_a_file_of_something_else_is_refused(self, content: bytes) -> None:
        hashes, _ = fashion(EXTERNAL / fashion_mnist.FOLDER)
        (EXTERNAL / fashion_mnist.FOLDER / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
        hashes["train"]["images"] = hashlib.sha256(content).hexdigest()
        assert "cannot be read as an idx file" in refusal("fashion_mnist", **hashes)


def spec_of(plan: Plan, path: str) -> Spec:
    return read_spec(write_spec(plan, plan[path]), plan[path].recipe)


class TestStage:
    TRAIN = "results/datasets/imagenet100/train.npz"
    CHECKPOINT = "results/checkpoints/imagenet100/resnet18__standard/seed0.safetensors"

    def test_large_images_are_streamed_to_a_file_and_read_from_it(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_photos({f"n{number:08}": ["a"] for number in range(1855672 - 99, 1855672 + 1)})
        plan = project.plan()
        make(plan, self.TRAIN)
        expected = stacked(DATASETS["imagenet_subset"]().load("train", EXTERNAL))
        job: Job[Any] = Job(spec_of(plan, self.CHECKPOINT))
        in_memory = job.labelled("train", margin=True)
        monkeypatch.setattr(jobs, "IN_MEMORY", 2**20)
        images, labels = job.labelled("train", margin=True)
        assert labels.tolist() == list(range(100))
        for read in (images, in_memory[0]):
            assert np.array_equal(read.cpu().numpy(), expected)
        assert images.is_cpu
        # What is changed in memory stays out of the file, whose hash the next job compares.
        images.zero_()
        seen, _ = job.labelled("train", 5)
        assert np.array_equal(seen.cpu().numpy(), expected[:5, 16:240, 16:240])

    def test_a_size_that_config_does_not_declare_is_refused(self, project: Project) -> None:
        write_photos({f"n{number:08}": ["a"] for number in range(1855672 - 99, 1855672 + 1)})
        project.replace("datasets/official.yaml", "side: 224}", "side: 200}")
        with pytest.raises(UserError, match=r"images of \(200, 200, 3\) .* declares \(224, 224, 3\)"):
            make(project.plan(), self.TRAIN.replace("train", "test"))

    def test_what_the_user_must_supply_is_known_before_the_first_job(self, project: Project) -> None:
        plan = project.plan()
        planned = [artifact for artifact in plan.artifacts.values() if artifact.kind.name == "dataset"]
        reasons = {artifact.path.split("/")[2]: obstacle(artifact) for artifact in planned}
        assert {name for name, reason in reasons.items() if reason} == {
            "cifar10",
            "cifar10-jpeg",
            "cifar100",
            "imagenet100",
            "fashion28",
        }
        (EXTERNAL / CIFAR10).touch()
        assert obstacle(plan["results/datasets/cifar10/train.npz"]) is None

    def test_what_is_not_implemented_is_known_too(self, tmp_path: Path) -> None:
        unfinished = [artifact for artifact in Project.small(tmp_path).plan().artifacts.values() if artifact.obstacle]
        assert unfinished
        assert all("not implemented yet" in str(obstacle(artifact)) for artifact in unfinished)
