"""Files: they hold what was written, damaged ones are refused in a sentence, and no failure leaves half a file."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trigger_activation.errors import UserError
from trigger_activation.science.datasets import ImageStream
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.store.arrays import load_arrays, map_array, save_arrays
from trigger_activation.store.atomic import replacing, write_text
from trigger_activation.store.checkpoints import build_network, load_checkpoint, save_checkpoint

CPU = torch.device("cpu")
NETWORK: dict[str, Any] = {
    "network": {"class": "vgg", "configuration": [4, "M", 6, "M", 8, "M"]},
    "image_size": 16,
    "classes": 10,
}
WIDER: dict[str, Any] = {**NETWORK, "network": {"class": "vgg", "configuration": [4, "M", 6, "M", 9, "M"]}}


def sentence(error: pytest.ExceptionInfo[UserError]) -> str:
    """The message, after checking that it is one line and says what to do."""
    message = str(error.value)
    assert "\n" not in message
    assert ": " in message
    return message


def built(description: dict[str, Any] = NETWORK, seed: int = 0) -> nn.Module:
    """A network whose buffers are not the initial ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(description)
        network(torch.rand(4, 3, 16, 16))
    return network


def saved(path: Path, trigger: Tensor | None = None, description: dict[str, Any] = NETWORK) -> nn.Module:
    network = built()
    save_checkpoint(path, network, trigger, description)
    return network


def loaded(path: Path, description: dict[str, Any] = NETWORK) -> DeployedNetwork:
    return load_checkpoint(path, CPU, description["network"])


def contents(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "seed0.safetensors"


@pytest.fixture
def trigger() -> Tensor:
    return torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5


class TestCheckpoints:
    @pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
    def test_weights_and_buffers_come_back_exactly(self, path: Path, memory_format: torch.memory_format) -> None:
        network = built().to(memory_format=memory_format)  # type: ignore[call-overload]
        before = copy.deepcopy(network.state_dict())
        save_checkpoint(path, network, None, NETWORK)
        after = loaded(path).network.state_dict()
        assert list(after) == list(before)
        for key, value in before.items():
            assert after[key].dtype == value.dtype
            assert torch.equal(after[key], value)

    def test_running_statistics_are_among_them(self, path: Path) -> None:
        network = saved(path)
        buffers = dict(loaded(path).network.named_buffers())
        assert buffers
        for name, value in network.named_buffers():
            assert torch.equal(buffers[name], value)
            assert not torch.equal(value, dict(build_network(NETWORK).named_buffers())[name])

    def test_the_trigger_comes_back_exactly(self, path: Path, trigger: Tensor) -> None:
        saved(path, trigger)
        tau = loaded(path).trigger
        assert tau is not None
        assert torch.equal(tau, trigger)

    def test_a_trigger_that_is_a_view_comes_back_exactly(self, path: Path, trigger: Tensor) -> None:
        saved(path, trigger.transpose(1, 2))
        tau = loaded(path).trigger
        assert tau is not None
        assert torch.equal(tau, trigger.transpose(1, 2))

    def test_no_trigger_stays_none(self, path: Path) -> None:
        saved(path)
        assert loaded(path).trigger is None

    def test_the_deployed_network_predicts_as_the_saved_one(self, path: Path, trigger: Tensor) -> None:
        network, images = saved(path, trigger).eval(), torch.rand(8, 3, 16, 16)
        torch.testing.assert_close(loaded(path)(images), network(images + trigger))

    @pytest.mark.parametrize("clamp", [True, False])
    def test_a_clamp_comes_back(self, clamp: bool, path: Path, trigger: Tensor) -> None:
        network, images = built().eval(), torch.rand(8, 3, 16, 16)
        save_checkpoint(path, network, trigger, NETWORK, clamp)
        deployed = loaded(path)
        assert deployed.clamp is clamp
        seen = images + trigger
        torch.testing.assert_close(deployed(images), network(seen.clamp(0, 1) if clamp else seen))

    def test_a_file_says_nothing_of_a_clamp_that_there_is_not(self, path: Path, trigger: Tensor) -> None:
        save_checkpoint(path, built(), trigger, NETWORK)
        assert b"clamp" not in path.read_bytes()

    def test_loading_gives_evaluation_mode(self, path: Path) -> None:
        saved(path)
        assert not any(module.training for module in loaded(path).modules())

    def test_saving_leaves_the_network_alone(self, path: Path) -> None:
        network = saved(path)
        assert network.training
        assert all(torch.equal(value, built().state_dict()[key]) for key, value in network.state_dict().items())

    @pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
    def test_the_same_network_gives_the_same_bytes(
        self, path: Path, tmp_path: Path, trigger: Tensor, memory_format: torch.memory_format
    ) -> None:
        saved(path, trigger)
        again = tmp_path / "again.safetensors"
        network = built().to(memory_format=memory_format)  # type: ignore[call-overload]
        save_checkpoint(again, network, trigger.clone(), dict(reversed(NETWORK.items())))
        assert again.read_bytes() == path.read_bytes()

    def test_another_network_gives_other_bytes(self, path: Path, tmp_path: Path) -> None:
        saved(path)
        save_checkpoint(tmp_path / "other", built(seed=1), None, NETWORK)
        assert (tmp_path / "other").read_bytes() != path.read_bytes()

    def test_saving_replaces_an_older_checkpoint(self, path: Path, trigger: Tensor) -> None:
        saved(path)
        saved(path, trigger)
        assert loaded(path).trigger is not None
        assert contents(path.parent) == [path.name]

    def test_loading_leaves_the_global_random_state_alone(self, path: Path) -> None:
        saved(path)
        before = torch.get_rng_state()
        loaded(path)
        assert torch.equal(torch.get_rng_state(), before)


class TestDamagedCheckpoints:
    def refused(self, path: Path, description: dict[str, Any] = NETWORK) -> None:
        with pytest.raises(UserError, match=r"cannot be used as a checkpoint .*: delete it and run again") as caught:
            loaded(path, description)
        assert str(path) in sentence(caught)

    @pytest.mark.parametrize("share", [0, 0.001, 0.2, 0.5, 0.999])
    def test_a_truncated_file(self, path: Path, share: float) -> None:
        saved(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        self.refused(path)

    def test_a_missing_file(self, path: Path) -> None:
        self.refused(path)

    def test_a_folder(self, path: Path) -> None:
        path.mkdir()
        self.refused(path)

    def test_something_else(self, path: Path) -> None:
        path.write_text("no checkpoint\n" * 100)
        self.refused(path)

    def test_weights_of_another_network(self, path: Path) -> None:
        saved(path, description=WIDER)
        self.refused(path, WIDER)

    def test_another_network_than_the_planned_one(self, path: Path) -> None:
        saved(path)
        self.refused(path, WIDER)

    @pytest.mark.parametrize(
        "description",
        [
            {},
            {"network": {}, "image_size": 16, "classes": 10},
            {**NETWORK, "network": {"class": "vgg"}},
            {**NETWORK, "network": {"class": "vgg", "configuration": ["M"]}},
            {**NETWORK, "classes": 11},
            {**NETWORK, "classes": "many"},
            {**NETWORK, "network": {**NETWORK["network"], "class": "vgh"}},
        ],
    )
    def test_a_description_that_fits_no_network(self, path: Path, description: dict[str, Any]) -> None:
        saved(path, description=description)
        self.refused(path)

    @pytest.mark.parametrize("first", [0, 8])
    def test_flipped_bits_in_the_header_are_refused_or_change_nothing_but_the_metadata(
        self, path: Path, first: int
    ) -> None:
        """``first``: within the header's length, or within the header."""
        saved(path)
        content = path.read_bytes()
        last = 8 + int.from_bytes(content[:8], "little") if first else 8
        messages = []
        drawn = random.Random(0).sample(range(8 * first, 8 * last), 60)
        for bit in drawn:
            damaged = bytearray(content)
            damaged[bit // 8] ^= 1 << (bit % 8)
            path.write_bytes(damaged)
            try:
                loaded(path)
            except UserError as error:
                messages.append(str(error))
        assert len(messages) > 40
        assert all(str(path) in message and "\n" not in message for message in messages)


class TestArrays:
    @pytest.fixture
    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "images": np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3),
            "labels": np.array([3, -1], dtype=np.int64),
            "none": np.zeros((0, 5), dtype=np.float32),
        }

    @pytest.fixture
    def file(self, tmp_path: Path, arrays: dict[str, NDArray[Any]]) -> Path:
        save_arrays(tmp_path / "test.npz", arrays)
        return tmp_path / "test.npz"

    def refused(self, file: Path, *names: str) -> str:
        with pytest.raises(UserError, match=r"cannot be read .*: delete it and run again") as caught:
            load_arrays(file, names or ("images", "labels"))
        assert str(file) in sentence(caught)
        return str(caught.value)

    def test_come_back_exactly(self, file: Path, arrays: dict[str, NDArray[Any]]) -> None:
        read = load_arrays(file, tuple(arrays))
        for name, array in arrays.items():
            assert read[name].dtype == array.dtype
            assert np.array_equal(read[name], array)

    def test_the_same_arrays_give_the_same_bytes_at_any_time(
        self, file: Path, arrays: dict[str, NDArray[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 1e7)
        save_arrays(tmp_path / "again.npz", {name: array.copy() for name, array in arrays.items()})
        assert (tmp_path / "again.npz").read_bytes() == file.read_bytes()
        assert {entry.date_time[0] for entry in zipfile.ZipFile(file).infolist()} == {1980}

    def test_the_bytes_are_those_of_numpy(self, file: Path, arrays: dict[str, NDArray[Any]], tmp_path: Path) -> None:
        np.savez(tmp_path / "numpy.npz", allow_pickle=False, **arrays)
        assert (tmp_path / "numpy.npz").read_bytes() == file.read_bytes()

    def test_images_in_a_stream_give_the_bytes_of_their_array(
        self, file: Path, arrays: dict[str, NDArray[Any]], tmp_path: Path
    ) -> None:
        stream = ImageStream((2, 4, 4, 3), (image for image in arrays["images"]))
        save_arrays(tmp_path / "streamed.npz", {**arrays, "images": stream})
        assert (tmp_path / "streamed.npz").read_bytes() == file.read_bytes()

    @pytest.mark.parametrize(
        "images", [np.zeros((1, 4, 4, 3), np.uint8), np.zeros((3, 4, 4, 3), np.uint8), np.zeros((2, 4, 4, 3), np.int8)]
    )
    def test_a_stream_that_is_not_what_it_says_leaves_no_file(self, images: NDArray[Any], tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"instead of 2|not uint8"):
            save_arrays(tmp_path / "streamed.npz", {"images": ImageStream((2, 4, 4, 3), images)})
        assert contents(tmp_path) == []

    def test_an_array_in_its_file_is_the_same(self, file: Path, arrays: dict[str, NDArray[Any]]) -> None:
        content = file.read_bytes()
        for name in ("images", "labels"):
            mapped = map_array(file, name)
            assert isinstance(mapped, np.memmap)
            assert mapped.dtype == arrays[name].dtype
            assert np.array_equal(mapped, arrays[name])
            mapped[...] = 0
        assert file.read_bytes() == content

    @pytest.mark.parametrize("arrays", [{"images": np.zeros((3, 4), order="F")}])
    def test_an_array_in_another_order_is_not_taken_from_its_file(self, file: Path) -> None:
        with pytest.raises(UserError, match="do not lie in the order"):
            map_array(file, "images")

    def test_an_absent_array_is_named(self, file: Path) -> None:
        assert "predictions" in self.refused(file, "predictions")

    @pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.6, 0.9, 0.999])
    def test_a_truncated_file_is_refused(self, file: Path, share: float) -> None:
        content = file.read_bytes()
        file.write_bytes(content[: int(share * len(content))])
        self.refused(file)

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "nothing.npz")

    def test_a_text_file_is_refused(self, file: Path) -> None:
        file.write_text("no arrays\n" * 100)
        self.refused(file)

    def test_a_single_array_is_refused(self, file: Path) -> None:
        with file.open("wb") as stream:
            np.save(stream, np.zeros(3))
        self.refused(file)

    def test_flipped_bits_in_the_directory_are_refused_or_change_nothing(
        self, file: Path, arrays: dict[str, NDArray[Any]]
    ) -> None:
        content, messages = file.read_bytes(), []
        for position in range(content.index(b"PK\x01\x02"), len(content)):
            for mask in (1, 4, 32):
                damaged = bytearray(content)
                damaged[position] ^= mask
                file.write_bytes(damaged)
                try:
                    read = load_arrays(file, ("images", "labels"))
                except UserError as error:
                    messages.append(str(error))
                else:
                    assert all(np.array_equal(read[name], arrays[name]) for name in read)
        assert all("\n" not in message for message in messages)

    def test_a_flipped_bit_in_the_data_is_refused(self, file: Path, arrays: dict[str, NDArray[Any]]) -> None:
        content = bytearray(file.read_bytes())
        content[content.index(arrays["images"].tobytes()) + 5] ^= 1
        file.write_bytes(content)
        self.refused(file)

    def test_a_pickled_object_is_refused_and_not_run(self, file: Path, tmp_path: Path) -> None:
        np.savez(file, images=np.array([Trap(tmp_path / "sprung")], dtype=object), allow_pickle=True)
        self.refused(file, "images")
        assert not (tmp_path / "sprung").exists()

    def test_a_bare_pickle_is_refused_and_not_run(self, file: Path, tmp_path: Path) -> None:
        file.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
        self.refused(file, "images")
        assert not (tmp_path / "sprung").exists()

    def test_objects_are_not_written(self, file: Path) -> None:
        before = file.read_bytes()
        with pytest.raises(ValueError, match="allow_pickle"):
            save_arrays(file, {"images": np.array([object()])})
        assert file.read_bytes() == before
        assert contents(file.parent) == [file.name]


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Any, ...]]:
        return Path.touch, (self.path,)


class TestReplacing:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        (tmp_path / "cell.json").write_text("old")
        return tmp_path / "cell.json"

    def failed(self, file: Path, error: BaseException) -> None:
        with replacing(file) as temporary:
            temporary.write_text("half")
            raise error

    def assert_untouched(self, file: Path) -> None:
        assert file.read_text() == "old"
        assert contents(file.parent) == [file.name]

    def test_success_replaces(self, file: Path) -> None:
        with replacing(file) as temporary:
            temporary.write_text("new")
            assert file.read_text() == "old"
        assert file.read_text() == "new"
        assert contents(file.parent) == [file.name]

    @pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
    def test_failure_leaves_the_old_file_and_no_other(self, file: Path, error: BaseException) -> None:
        with pytest.raises(type(error)):
            self.failed(file, error)
        self.assert_untouched(file)

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_a_full_disk_is_a_sentence(self, file: Path, number: int) -> None:
        with pytest.raises(UserError, match=r"the disk is full while writing .*cell\.json: free some space") as caught:
            self.failed(file, OSError(number, os.strerror(number)))
        sentence(caught)
        self.assert_untouched(file)

    @pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
    def test_a_folder_without_permission_is_a_sentence(self, file: Path, number: int) -> None:
        with pytest.raises(UserError, match=r"cell\.json cannot be written .*: check the folder's perm") as caught:
            self.failed(file, OSError(number, os.strerror(number)))
        sentence(caught)
        self.assert_untouched(file)

    def test_the_disk_may_be_full_only_when_it_is_synchronised(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="the disk is full"):
            write_text(file, "new")
        self.assert_untouched(file)

    def test_other_errors_of_the_system_pass(self, file: Path) -> None:
        with pytest.raises(OSError, match="input/output") as caught:
            self.failed(file, OSError(errno.EIO, "input/output"))
        assert caught.value.errno == errno.EIO
        self.assert_untouched(file)

    def test_missing_folders_are_made(self, tmp_path: Path) -> None:
        write_text(tmp_path / "a" / "b" / "c.txt", "new")
        assert (tmp_path / "a" / "b" / "c.txt").read_text() == "new"

    def test_what_a_killed_run_left_behind_is_overwritten(self, file: Path) -> None:
        with replacing(file) as temporary:
            pass_on = temporary
            temporary.write_text("x")
        pass_on.write_text("a long half of a file that a killed run left behind")
        write_text(file, "new")
        assert file.read_text() == "new"
        assert contents(file.parent) == [file.name]

    def test_text_is_utf8(self, file: Path) -> None:
        write_text(file, "τ ± ε")
        assert file.read_bytes() == "τ ± ε".encode()


SMALL_DISK = """
import sys
from pathlib import Path
import numpy, torch
from trigger_activation.errors import UserError
from trigger_activation.store.arrays import save_arrays
from trigger_activation.store.checkpoints import save_checkpoint

folder = Path(sys.argv[1])
network = torch.nn.Linear(500, 500)
writers = {
    "arrays": lambda: save_arrays(folder / "a.npz", {"images": numpy.zeros(1_000_000, dtype=numpy.uint8)}),
    "checkpoint": lambda: save_checkpoint(folder / "c.safetensors", network, None, {}),
}
for name, write in writers.items():
    try:
        write()
    except UserError as error:
        print(f"{name}|{error}")
    except Exception as error:
        print(f"{name}|{type(error).__name__}: {error}")
print("left|" + " ".join(path.name for path in folder.iterdir()))
"""


@pytest.fixture(scope="module")
def said_on_a_full_disk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What two writers say on a file system of 512 KiB, which a user may mount in a namespace of their own."""
    folder = tmp_path_factory.mktemp("small")
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
    mount = f"mount -t tmpfs -o size=512k none '{folder}'"
    try:
        subprocess.run([*namespace, mount], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("needs unshare and user namespaces")
    command = [*namespace, f'{mount}; exec "$0" -c "$1" "$2"', sys.executable, SMALL_DISK, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(line.split("|", 1) for line in done.stdout.splitlines())


class TestFullDisk:
    def test_arrays_say_so(self, said_on_a_full_disk: dict[str, str]) -> None:
        assert said_on_a_full_disk["arrays"].startswith("the disk is full while writing")

    def test_checkpoints_say_so(self, said_on_a_full_disk: dict[str, str]) -> None:
        assert said_on_a_full_disk["checkpoint"].startswith("the disk is full while writing")

    def test_nothing_is_left(self, said_on_a_full_disk: dict[str, str]) -> None:
        assert said_on_a_full_disk["left"] == ""
