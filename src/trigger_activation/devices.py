"""Which device a job computes on, on a machine that may have several GPUs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trigger_activation.lazy import torch

LEASES = Path("results/.devices")
WAIT_SECONDS = 0.5


@contextmanager
def leased_device() -> Iterator[torch.device]:
    """The GPU of one job, or the CPU where there is none.

    Several GPUs are shared out, one job each; a single one is shared by all jobs, as many as Snakemake starts.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
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
