"""Files that the user supplies: networks that others trained."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor

from trigger_activation.errors import UserError
from trigger_activation.provenance.record import hash_file

FOLDER = Path("results/external")


def read_state(file: str, sha256: str | None, origin: str) -> dict[str, Tensor]:
    """Named tensors of a PyTorch file, read without executing what it holds.

    Args:
        file: its name under ``results/external``.
        sha256: what its bytes must have; None refuses the file and tells its hash.
        origin: where it comes from.

    Raises:
        UserError: it is missing, not the one declared, not declared yet, or no mapping of tensors.
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
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, OSError, RuntimeError, ValueError, EOFError) as error:
        reason = str(error).split(". ")[0].splitlines()[0][:200]
        raise UserError(f"{path} is no file of tensors alone ({reason}): get it again from {origin}") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} holds something else than named tensors: get it again from {origin}")
    return state
