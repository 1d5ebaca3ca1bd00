"""One pool of warm workers, however many threads hand it jobs, and errors in words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from io import StringIO

import psutil
import pytest

from trigger_activation.errors import UserError
from trigger_activation.run import worker
from trigger_activation.run.failures import FOR_GOOD


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers that import nothing; ended afterwards."""
    monkeypatch.setattr(worker, "_start", abs)
    yield
    worker.stop_workers()


def workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "LokyProcess" in " ".join(child.cmdline())]


@pytest.mark.usefixtures("pool")
def test_threads_share_the_workers_that_were_asked_for() -> None:
    with ThreadPoolExecutor(4) as threads:
        used = set(threads.map(lambda _: worker.call(2, os.getpid), range(8)))
    assert used <= {process.pid for process in workers()}
    assert len(workers()) == 2
    worker.stop_workers()
    assert workers() == []


@pytest.mark.parametrize(
    ("error", "says", "recurs"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "since the disk is full: free some space", True),
        (MemoryError(), "x.npz could not be made, since the memory is full: free some, or run again", False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "the memory is full", False),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "the memory is full", False),
        (UserError("it is damaged: delete it"), "it is damaged: delete it", True),
    ],
)
def test_what_runs_out_is_named(error: Exception, says: str, recurs: bool) -> None:
    with redirect_stdout(StringIO()) as log:
        explained = worker._explained(error, "x.npz")
    assert isinstance(explained, UserError)
    assert says in str(explained)
    assert log.getvalue() == (f"{explained}\n{FOR_GOOD}\n" if recurs else f"{explained}\n")


def test_a_fault_of_the_code_stays_one_and_the_log_says_where() -> None:
    error = ZeroDivisionError("division by zero")
    with redirect_stdout(StringIO()) as log:
        assert worker._explained(error, "x.npz") is error
    assert "ZeroDivisionError" in log.getvalue()
    assert log.getvalue().endswith(f"\n{FOR_GOOD}\n")


@pytest.mark.parametrize("error", [OSError(errno.ESTALE, "Stale file handle"), RuntimeError("CUDA error: ECC error")])
def test_what_may_go_well_on_another_machine_may_be_tried_again(error: Exception) -> None:
    with redirect_stdout(StringIO()) as log:
        assert worker._explained(error, "x.npz") is error
    assert FOR_GOOD not in log.getvalue()
