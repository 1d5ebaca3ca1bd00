"""Writes that are whole or did not happen, and the lock that lets one run write at a time."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.projects import one_sentence
from trigger_activation.errors import UserError
from trigger_activation.store.atomic import replacing, write_text, writing_to
from trigger_activation.store.lock import LOCK, RunLock

HOLDER = """
import sys
from trigger_activation.store.lock import RunLock
lock = RunLock()
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""
TRIER = """
from trigger_activation.errors import UserError
from trigger_activation.store.lock import RunLock
try:
    RunLock().acquire()
except UserError as error:
    print(error)
"""
HALF_WRITER = """
import sys
from pathlib import Path
from trigger_activation.store.atomic import replacing
with replacing(Path("result.txt")) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


@contextmanager
def started(code: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that has printed its first line; it is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert process.stdout
    try:
        assert process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def attempt() -> str:
    """What another process says that asks for the lock; empty if it gets it."""
    return subprocess.run([sys.executable, "-c", TRIER], capture_output=True, text=True, check=True).stdout.strip()


def refused(lock: RunLock) -> str:
    with pytest.raises(UserError) as caught:
        lock.acquire()
    return one_sentence(str(caught.value))


@pytest.mark.usefixtures("folder")
class TestRunLock:
    def test_a_second_process_is_refused(self) -> None:
        lock = RunLock()
        lock.acquire()
        try:
            sentence = one_sentence(attempt())
        finally:
            lock.release()
        assert "another run" in sentence
        assert "wait until it ends, or stop it" in sentence

    def test_the_refusal_names_the_process_that_holds_it(self) -> None:
        with started(HOLDER) as holder:
            assert f"(process {holder.pid})" in refused(RunLock())

    def test_a_run_that_was_refused_can_try_again(self) -> None:
        lock = RunLock()
        with started(HOLDER):
            refused(lock)
        lock.acquire()
        lock.release()

    def test_a_released_lock_is_free(self) -> None:
        lock = RunLock()
        lock.acquire()
        lock.release()
        assert attempt() == ""

    def test_a_killed_holder_frees_the_lock(self) -> None:
        with started(HOLDER) as holder:
            os.kill(holder.pid, signal.SIGKILL)
            holder.wait()
            lock = RunLock()
            lock.acquire()
        lock.release()

    def test_a_refused_run_that_ends_leaves_the_holder_named(self) -> None:
        with started(HOLDER) as holder:
            second = RunLock()
            refused(second)
            second.release()
            assert f"(process {holder.pid})" in refused(RunLock())

    def test_a_damaged_holder_file_does_not_matter(self) -> None:
        with started(HOLDER):
            LOCK.with_name(".lock-holder").write_text("nobody")
            assert "another run is writing" in refused(RunLock())

    def test_taking_the_lock_makes_the_folder(self) -> None:
        lock = RunLock()
        assert not LOCK.parent.exists()
        lock.acquire()
        lock.release()
        assert LOCK.parent.is_dir()

    def test_giving_back_what_was_never_taken_is_no_error(self) -> None:
        RunLock().release()


@pytest.mark.usefixtures("folder")
class TestReplacing:
    def test_text_is_written_as_utf8(self) -> None:
        write_text(Path("deep/down/result.txt"), "τ ± 1\n")
        assert Path("deep/down/result.txt").read_bytes() == "τ ± 1\n".encode()

    def test_the_old_file_stays_until_the_new_one_is_whole(self) -> None:
        write_text(Path("result.txt"), "old")
        with replacing(Path("result.txt")) as temporary:
            temporary.write_text("new")
            assert Path("result.txt").read_text() == "old"
        assert Path("result.txt").read_text() == "new"

    def test_a_failure_leaves_the_old_file_and_nothing_else(self, folder: Path) -> None:
        def fail_halfway() -> None:
            with replacing(Path("result.txt")) as temporary:
                temporary.write_text("half")
                raise RuntimeError("on purpose")

        write_text(Path("result.txt"), "old")
        with pytest.raises(RuntimeError, match="on purpose"):
            fail_halfway()
        assert {path.name: path.read_text() for path in folder.iterdir()} == {"result.txt": "old"}

    def test_a_killed_writer_leaves_the_old_file(self) -> None:
        write_text(Path("result.txt"), "old")
        with started(HALF_WRITER) as writer:
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
        assert Path("result.txt").read_text() == "old"

    def test_what_a_killed_writer_left_is_overwritten(self, folder: Path) -> None:
        Path(".partial-result.txt").write_text("half")
        write_text(Path("result.txt"), "whole")
        assert [path.name for path in folder.iterdir()] == ["result.txt"]

    def test_a_writer_that_wrote_nothing_fails(self) -> None:
        with pytest.raises(FileNotFoundError), replacing(Path("result.txt")):
            pass

    @pytest.mark.parametrize(
        ("code", "remedy"),
        [
            (errno.ENOSPC, "free some space"),
            (errno.EDQUOT, "free some space"),
            (errno.EACCES, "check the folder's permissions"),
            (errno.EROFS, "check the folder's permissions"),
        ],
    )
    def test_usual_failures_are_one_sentence(self, code: int, remedy: str) -> None:
        with pytest.raises(UserError) as caught, writing_to(Path("result.txt")):
            raise OSError(code, os.strerror(code))
        sentence = one_sentence(str(caught.value))
        assert "result.txt" in sentence
        assert remedy in sentence

    def test_other_failures_keep_their_traceback(self) -> None:
        with pytest.raises(OSError, match="I/O") as caught, writing_to(Path("result.txt")):
            raise OSError(errno.EIO, "I/O error")
        assert not isinstance(caught.value, UserError)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
    def test_a_full_disk_is_one_sentence(self) -> None:
        with pytest.raises(UserError, match="the disk is full while writing"), writing_to(Path("result.txt")):
            Path("/dev/full").write_text("text")
