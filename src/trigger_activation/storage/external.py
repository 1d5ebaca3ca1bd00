"""Files that the user supplies: networks that others trained."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import torch

from trigger_activation.errors import UserError
from trigger_activation.provenance.record import hash_file

FOLDER = Path("results/external")

_SCALAR: Any = np.float64().__reduce__()[0]
NUMPY_NUMBERS: list[Any] = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float32", "float64", "int32", "int64")),
]
"""What makes a number of NumPy (before and since 2.0), such as a learning rate in the state of an optimiser."""


def read_external(file: str, sha256: str | None, origin: str) -> object:
    """What a PyTorch file holds, of tensors, numbers and text in mappings and lists; nothing in it is executed.

    Args:
        file: its name under ``results/external``.
        sha256: what its bytes must have; None refuses the file and tells its hash.
        origin: where it comes from.

    Raises:
        UserError: it is missing, not the one declared, not declared yet, damaged, or holds something else.
    """
    path = FOLDER / file
    if not path.exists():
        raise UserError(f"{path} is missing: get it from {origin} and put it there")
    actual = hash_file(path)
    if sha256 is None:
        raise UserError(
            f"{path} has the sha256 {actual}, which config/helpers does not name yet: make sure that the file is the "
            f"one from {origin}, then write `sha256: {actual}` beside its name"
        )
    if actual != sha256:
        raise UserError(
            f"{path} has the sha256 {actual}, but config/helpers asks for {sha256}: get it again from {origin}"
        )
    try:
        with torch.serialization.safe_globals(NUMPY_NUMBERS):
            content: object = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except (pickle.UnpicklingError, OSError, RuntimeError, ValueError, EOFError) as error:
        unsafe = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it asks for {unsafe[1]}" if unsafe else str(error).split(". ")[0].splitlines()[0][:200]
        complaint = f"{path} cannot be read as tensors and numbers alone ({reason})"
        raise UserError(f"{complaint}: get it again from {origin}") from None
    return content
