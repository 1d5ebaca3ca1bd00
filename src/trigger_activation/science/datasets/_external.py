"""Files that the user supplies: that they are there, and that they are the ones meant."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from trigger_activation.errors import UserError


def first_missing(paths: Iterable[Path], remedy: str) -> str | None:
    """A sentence about the first path where nothing is, with the remedy; None if all are there."""
    absent = next((path for path in paths if not path.exists()), None)
    return f"{absent} is missing: {remedy}" if absent else None


def read_present(path: Path, remedy: str) -> bytes:
    """The bytes of a file.

    Raises:
        UserError: it is absent.
    """
    if sentence := first_missing([path], remedy):
        raise UserError(sentence)
    return path.read_bytes()


def check_sha256(what: str, content: bytes, sha256: str, remedy: str) -> None:
    """Refuse bytes that are not those meant.

    Raises:
        UserError: their hash is another one.
    """
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise UserError(f"{what} has sha256 {actual}, but config says {sha256}: {remedy}")
