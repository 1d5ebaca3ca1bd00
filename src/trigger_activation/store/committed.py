"""How cells on disk differ from those that git has."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trigger_activation.errors import UserError
from trigger_activation.store.documents import Document, parse_document
from trigger_activation.store.records import read_content

TIMED = "/measured/cost/"
"""A part of the paths of cells that hold durations, which differ from run to run."""


@dataclass
class Differences:
    """Cells by what became of them."""

    same: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    largest: tuple[float, str] | None = None
    """The largest change of a mean accuracy in points, and its cell."""

    def __str__(self) -> str:
        """For people, a sentence or two."""
        total = len(self.same) + len(self.changed)
        text = f"{len(self.same)} of {total} cells have the content that is committed"
        if self.changed:
            text += f"; {len(self.changed)} differ, for example {self.changed[0]}"
        if self.largest is not None:
            text += f"; the largest change of a mean is {self.largest[0]:.2f} points, in {self.largest[1]}"
        if self.added:
            text += f"; {len(self.added)} are not committed"
        return f"{text}."


def differences(paths: Iterable[str]) -> Differences:
    """Compare cells with those of the last commit, timings left out.

    Args:
        paths: of cells on disk.

    Raises:
        UserError: this is no git repository with a commit.
    """
    found = Differences()
    for path in (path for path in paths if TIMED not in path and Path(path).exists()):
        committed, current = _committed(path), read_content(path)
        if committed is None:
            found.added.append(path)
        elif committed == current:
            found.same.append(path)
        else:
            found.changed.append(path)
            change = max(
                (abs(value - _means(committed).get(k, value)) for k, value in _means(current).items()), default=0
            )
            if change > 0 and (found.largest is None or change > found.largest[0]):
                found.largest = (change, path)
    return found


def _means(content: Mapping[str, Any]) -> dict[str, float]:
    return {name: statistics["mean"] for name, statistics in content.get("means", {}).items()}


def committed_document(path: str) -> Document | None:
    """A JSON artifact of the last commit, or None where there is none.

    Raises:
        UserError: this is no git repository with a commit, or the artifact is not of today's form.
    """
    text = _committed_text(path)
    return None if text is None else parse_document(path, text)


def _committed(path: str) -> Any:
    """The content of a cell in the last commit, or None where it has none."""
    text = _committed_text(path)
    return None if text is None else json.loads(text)["content"]


def _committed_text(path: str) -> str | None:
    command = ["git", "show", f"HEAD:./{path}"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        raise UserError("git is not installed, so nothing is known of committed cells: install it") from None
    if run.returncode != 0:
        if "exists on disk, but not in" in run.stderr or "does not exist in" in run.stderr:
            return None
        raise UserError(
            "this folder is no git repository with a commit, so there are no committed cells to compare with"
        )
    return run.stdout
