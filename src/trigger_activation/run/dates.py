"""Dates of files, by which Snakemake decides what runs and what it keeps."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path


class Marker:
    """A file outside the project that is newer than every stale artifact of this process."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="trigact-")
        self.path = Path(self._folder.name) / "recipe-changed"
        self.path.touch()

    def outdate(self, files: Iterable[str]) -> None:
        """Make the marker newer than these files, even if a clock dated them in the future."""
        newest = max((path.stat().st_mtime for path in map(Path, files) if path.exists()), default=0.0)
        if newest >= self.path.stat().st_mtime:
            os.utime(self.path, (newest + 1, newest + 1))

    def reset(self) -> None:
        """Date the marker now: Snakemake discards the output of a job whose input lies in the future."""
        os.utime(self.path)


def forgive_future_times(paths: Iterable[str]) -> None:
    """Date files now that a clock dated in the future: Snakemake discards the output of a job with such an input."""
    now = time.time()
    for path in paths:
        if Path(path).exists() and Path(path).stat().st_mtime > now:
            os.utime(path, (now, now))
