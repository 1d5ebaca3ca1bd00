"""Atomic writes: a temporary name, fsync, rename."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trigger_activation.errors import UserError

DISK_IS_FULL = {errno.ENOSPC, errno.EDQUOT}
"""Errors of a disk, and of a user's share of it."""
PARTIAL = ".partial-"
"""What temporary names begin with."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; on success it replaces ``path``, on failure it is removed.

    The temporary name derives from ``path``, so that what a killed run left behind is overwritten by the next one.

    Raises:
        UserError: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f"{PARTIAL}{path.name}")
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn the usual failures of writing into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_IS_FULL:
            raise UserError(f"the disk is full while writing {path}: free some space and run again") from None
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise UserError(f"{path} cannot be written ({error.strerror}): check the folder's permissions") from None
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_partial(folders: Iterable[Path]) -> None:
    """Remove what killed processes of this run have left half-written below some folders."""
    for folder in folders:
        for file in folder.rglob(f"{PARTIAL}*"):
            file.unlink(missing_ok=True)
