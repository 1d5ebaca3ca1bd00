"""One run at a time may write results; the system releases the lock when the run ends, however it does."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout

from trigger_activation.errors import UserError
from trigger_activation.store.atomic import writing_to

LOCK = Path("results/.lock")
HOLDER = LOCK.with_name(".lock-holder")
"""Who took the lock last; it stays, as the lock's own file does."""


class RunLock:
    """The lock on ``results/``."""

    def __init__(self) -> None:
        self._lock = FileLock(LOCK, timeout=0)

    def acquire(self) -> None:
        """Take the lock for this process.

        Raises:
            UserError: another run holds it.
        """
        with writing_to(LOCK):
            LOCK.parent.mkdir(exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise UserError(
                    f"another run{_holder()} is writing to results/ here: wait until it ends, or stop it"
                ) from None
            HOLDER.write_text(str(os.getpid()))

    def release(self) -> None:
        """Give the lock back, if this process holds it."""
        self._lock.release()


def _holder() -> str:
    try:
        return f" (process {int(HOLDER.read_text())})"
    except (OSError, ValueError):
        return ""
