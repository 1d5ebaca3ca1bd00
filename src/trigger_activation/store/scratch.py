"""What interrupted jobs go on from: the state of each in a file, written now and then and removed at its end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from trigger_activation.errors import UserError
from trigger_activation.lazy import torch
from trigger_activation.store.atomic import replacing
from trigger_activation.store.environment import Stopwatch

FOLDER = Path("results/scratch")
INTERVAL = 30.0
"""Seconds between two writes, or that many times what the last one took, if that was more than a second."""


class Scratch:
    """The state of one job, for another run of the same recipe from the same inputs on the same kind of device.

    The file is PyTorch's, which keeps the memory layout of tensors and with it the last bit of what is computed from
    them; reading it executes nothing.
    """

    def __init__(
        self, recipe: str, inputs: Mapping[str, str], device: Callable[[], torch.device], stopwatch: Stopwatch
    ) -> None:
        """The job's recipe, the sha256 of each input that it has read, now or later, its device and its stopwatch."""
        self._file = FOLDER / recipe / "state.pt"
        self._recipe = recipe
        self._inputs = inputs
        self._device = device
        self._stopwatch = stopwatch
        self._due = time.monotonic() + INTERVAL

    def load(self) -> dict[str, Any] | None:
        """The last state that was saved, tensors on the CPU; None if there is none that can be used."""
        if not self._file.exists():
            return None
        try:
            content = _read(self._file)
            if other := [name for name, value in self._origin.items() if content["origin"].get(name) != value]:
                raise ValueError(f"another job left it, of another {' and '.join(other)}")
        except Exception as error:  # A damaged file may raise nearly anything.
            print(f"{self._file} is ignored ({' '.join(str(error).split())[:300]}): starting over", flush=True)
            return None
        self._stopwatch.add(content["spent"])
        print(f"continued from {content['place']}", flush=True)
        state: dict[str, Any] = content["state"]
        return state

    def save(self, state: dict[str, Any], place: str) -> None:
        """Write a state unless the last one is recent; where that fails, the job goes on without.

        Args:
            state: tensors, numbers and text, in lists and mappings.
            place: how far the job is, for the log: ``epoch 7 of 60``.
        """
        start = time.monotonic()
        if start < self._due:
            return
        content = {"origin": self._origin, "place": place, "spent": self._stopwatch.reading(), "state": state}
        try:
            with replacing(self._file) as temporary:
                torch.save(content, temporary)
        except (UserError, OSError, RuntimeError) as error:
            print(f"{self._file} was not written ({error}): an interruption would cost more", flush=True)
        end = time.monotonic()
        self._due = end + INTERVAL * max(1.0, end - start)

    def discard(self) -> None:
        """Remove the state: the job is done."""
        shutil.rmtree(self._file.parent, ignore_errors=True)

    @property
    def _origin(self) -> dict[str, Any]:
        return {
            "recipe": self._recipe,
            "set of inputs": dict(self._inputs),
            "kind of device": self._device().type,
            "version of PyTorch": str(torch.__version__),
        }


def _read(file: Path) -> dict[str, Any]:
    with ZipFile(file) as archive:
        # PyTorch does not look at the checksums that it writes.
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} is damaged")
    content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return content
