"""Whether a job that failed would fail again. Its log says so to the run that submitted it, wherever the job ran."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from trigger_activation.store.atomic import DISK_IS_FULL
from trigger_activation.store.lock import HOLDER

FOR_GOOD = "Trying again would change nothing."
"""The last line of the log of a job whose error does not depend on memory, time or machine."""
OUT_OF_MEMORY = re.compile("not enough memory|out of memory|can't allocate|could not create a primitive")
"""How torch and oneDNN say it; they have no class for it, except for a GPU's memory."""
OF_MACHINE = re.compile("CUDA|cuDNN|cuBLAS")
"""What torch says of a GPU that fails, perhaps alone among many."""


def memory_is_full(error: Exception) -> bool:
    """Whether an error is for want of memory."""
    return isinstance(error, MemoryError) or bool(OUT_OF_MEMORY.search(str(error)))


def will_recur(error: Exception) -> bool:
    """Whether an error does not depend on memory or machine; a disk that is full stays so until somebody makes room."""
    passes = isinstance(error, OSError) and error.errno not in DISK_IS_FULL
    return not (passes or memory_is_full(error) or OF_MACHINE.search(str(error)))


def fails_for_good(logs: Iterable[str]) -> bool:
    """Whether a job of this run wrote into its log that its error would recur; logs of earlier runs say nothing."""
    began = HOLDER.stat().st_mtime
    written = [path for path in map(Path, logs) if path.exists() and path.stat().st_mtime >= began]
    return any(path.read_text(encoding="utf-8", errors="replace").rstrip().endswith(FOR_GOOD) for path in written)
