"""Which device a job computes on, on a machine that may have several GPUs, or none."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from trigger_activation.errors import UserError
from trigger_activation.lazy import torch

LEASES = Path("results/.devices")
WAIT_SECONDS = 0.5
VARIABLE = "TRIGACT_GPU"
"""The environment variable that tells workers and jobs of a cluster what their run computes on."""


class GpuUse(StrEnum):
    """What a run has its jobs compute on: the setting ``gpu``."""

    REQUIRED = "required"
    """A GPU; without one they fail instead of taking a hundred times as long."""
    OPTIONAL = "optional"
    """A GPU where there is one."""
    NONE = "none"
    """The CPU."""

    @classmethod
    def current(cls) -> GpuUse:
        """That of the run that this process works for."""
        return cls(os.environ.get(VARIABLE, cls.OPTIONAL))

    def hand_down(self) -> None:
        """Let it hold for this process and those that it starts, jobs of a cluster among them."""
        os.environ[VARIABLE] = self


def usable_gpus() -> int:
    """How many GPUs this process may compute on.

    Raises:
        UserError: one is required and there is none.
    """
    use = GpuUse.current()
    count = torch.cuda.device_count() if use is not GpuUse.NONE and torch.cuda.is_available() else 0
    if use is GpuUse.REQUIRED and not count:
        raise UserError(
            f"PyTorch {torch.__version__} finds no GPU on {os.uname().nodename}: look what nvidia-smi says there, or "
            "run with --config gpu=optional to compute on the CPU where there is none"
        )
    return count


@contextmanager
def leased_device() -> Iterator[torch.device]:
    """The GPU of one job, or the CPU where there is none.

    Several GPUs are shared out, one job each; a single one is shared by all jobs, as many as Snakemake starts.

    Raises:
        UserError: a GPU is required and there is none.
    """
    count = usable_gpus()
    if count < 2:
        yield torch.device("cuda" if count else "cpu")
        return
    with leased_index(count) as index:
        torch.cuda.set_device(index)
        yield torch.device("cuda", index)


@contextmanager
def leased_index(count: int) -> Iterator[int]:
    """An index below ``count`` that no other job holds, once there is one; the system frees those of killed jobs."""
    LEASES.mkdir(parents=True, exist_ok=True)
    locks = [FileLock(LEASES / f"{index}.lock", timeout=0) for index in range(count)]
    index = _first_free(locks)
    while index is None:
        time.sleep(WAIT_SECONDS)
        index = _first_free(locks)
    try:
        yield index
    finally:
        locks[index].release()


def _first_free(locks: list[FileLock]) -> int | None:
    for index, lock in enumerate(locks):
        try:
            lock.acquire()
        except Timeout:
            continue
        return index
    return None
