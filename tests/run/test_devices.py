"""Sharing out GPUs, with devices that are not there."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.projects import one_sentence
from trigger_activation.errors import UserError
from trigger_activation.run.devices import GpuUse, leased_device, leased_index, usable_gpus


def hold(count: int, file: str, seconds: float) -> None:
    """Lease an index, write it down with the time, hold it."""
    with leased_index(count) as index:
        start = time.monotonic()
        time.sleep(seconds)
        Path(file).write_text(f"{index} {start} {time.monotonic()}")


def started(count: int, jobs: int, seconds: float) -> list[multiprocessing.Process]:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=hold, args=(count, f"{job}.txt", seconds)) for job in range(jobs)]
    for process in processes:
        process.start()
    return processes  # type: ignore[return-value]


@pytest.mark.usefixtures("folder")
class TestLeases:
    def test_no_index_is_held_twice_at_a_time_and_none_is_idle(self) -> None:
        for process in started(2, 5, 0.3):
            process.join()
        held = [tuple(map(float, Path(f"{job}.txt").read_text().split())) for job in range(5)]
        assert {index for index, _, _ in held} == {0, 1}
        for index in (0, 1):
            times = sorted((start, end) for used, start, end in held if used == index)
            assert all(end <= later for (_, end), (later, _) in itertools.pairwise(times))

    def test_a_killed_job_leaves_its_device_to_others(self) -> None:
        (process,) = started(1, 1, 60)
        lock = Path("results/.devices/0.lock")
        while not lock.exists():
            time.sleep(0.05)
        time.sleep(0.2)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        with leased_index(1) as index:
            assert index == 0

    @pytest.mark.parametrize(("count", "name"), [(0, "cpu"), (1, "cuda"), (2, "cuda:0")])
    def test_devices_of_machines(self, count: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        chosen: list[int] = []
        replace: Callable[..., None] = monkeypatch.setattr
        replace("torch.cuda.is_available", lambda: count > 0)
        replace("torch.cuda.device_count", lambda: count)
        replace("torch.cuda.set_device", chosen.append)
        with leased_device() as device:
            assert str(device) == name
        assert chosen == ([0] if count == 2 else [])


class TestUse:
    """Of GPUs: required, optional, or none."""

    @pytest.fixture(autouse=True)
    def _count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRIGACT_GPU", "")
        monkeypatch.delenv("TRIGACT_GPU")
        monkeypatch.setattr("torch.cuda.device_count", lambda: 1)

    @pytest.mark.parametrize(("use", "name"), [("required", "cuda"), ("optional", "cuda"), ("none", "cpu")])
    def test_where_there_is_one(self, use: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: True)
        GpuUse(use).hand_down()
        with leased_device() as device:
            assert str(device) == name

    def test_where_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        assert usable_gpus() == 0
        GpuUse.REQUIRED.hand_down()
        with pytest.raises(UserError) as refused, leased_device():
            pass
        assert "finds no GPU on" in one_sentence(str(refused.value))
