"""Verdicts: is an artifact what the plan asks for? Read-only, from records and sizes alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from trigger_activation.errors import UserError
from trigger_activation.plan.graph import Artifact, Plan
from trigger_activation.plan.kinds import RUN
from trigger_activation.store.records import Record, read_record


class Status(StrEnum):
    """What a verdict comes to."""

    VALID = "valid"
    STALE = "stale"
    MISSING = "missing"


@dataclass(frozen=True)
class Verdict:
    """A status and, as a sentence fragment, its reason."""

    status: Status
    reason: str

    @property
    def valid(self) -> bool:
        """Whether the artifact can be used as it is."""
        return self.status is Status.VALID


class Freshness:
    """Verdicts over a plan; each is computed when first asked for and then remembered.

    Args:
        plan: what is asked for.
        complete: whether an artifact also needs its by-products and valid inputs, as in a run that makes everything
            that is not there rather than rely on what was made of it elsewhere.
    """

    def __init__(self, plan: Plan, complete: bool = False) -> None:
        self.plan = plan
        self.complete = complete
        self._verdicts: dict[str, Verdict] = {}
        self._records: dict[str, Record | UserError | None] = {}

    def verdict(self, path: str) -> Verdict:
        """The verdict on one artifact.

        Raises:
            UserError: no plan contains the path.
        """
        if path not in self._verdicts:
            self._verdicts[path] = self._judge(self.plan[path])
        return self._verdicts[path]

    def _judge(self, artifact: Artifact) -> Verdict:
        needed = artifact.files + (artifact.by_products if self.complete else ())
        absent = [file for file in needed if not Path(file).exists()]
        if absent:
            return Verdict(Status.MISSING, f"{absent[0]} does not exist")
        record = self._record(artifact.path)
        if isinstance(record, UserError):
            return Verdict(Status.STALE, str(record))
        if record is None:
            return Verdict(Status.STALE, "it has no provenance record")
        reason = _recipe_change(artifact, record) or _size_change(record) or self._input_change(artifact, record)
        if reason:
            return Verdict(Status.STALE, reason)
        needed_first = (*artifact.input_paths, *artifact.optional_paths) if self.complete else ()
        remade = [path for path in needed_first if not self.verdict(path).valid]
        if remade:
            return Verdict(Status.STALE, f"{remade[0]} is made first")
        return Verdict(Status.VALID, "recipe, size and inputs are those of the plan")

    def _record(self, path: str) -> Record | UserError | None:
        if path not in self._records:
            try:
                self._records[path] = read_record(path)
            except UserError as error:
                self._records[path] = error
        return self._records[path]

    def _input_change(self, artifact: Artifact, record: Record) -> str | None:
        """An input that is current by its own record but has other bytes than were read."""
        for path in artifact.input_paths:
            current = self._record(path)
            if not isinstance(current, Record) or current.recipe != self.plan[path].recipe:
                continue
            if artifact.kind is RUN and current.environment is None:
                continue  # Of such an input there is no time or memory to add up.
            if record.inputs.get(path) != current.sha256:
                return f"it was made from other bytes of {path}"
        for path in artifact.optional_paths:
            current = self._record(path)
            if record.inputs.get(path) != (current.sha256 if isinstance(current, Record) else None):
                return f"{path} is not the one that it was made with"
        return None


def _recipe_change(artifact: Artifact, record: Record) -> str | None:
    if record.recipe == artifact.recipe:
        return None
    if record.path != artifact.path:
        return f"its record belongs to {record.path}"
    changes = [
        *differences(record.parameters, artifact.settings),
        *differences(record.versions, dict(artifact.versions), "version of "),
    ]
    if changes:
        return "its recipe changed: " + ", ".join(changes[:3])
    return "the recipe of one of its inputs changed"


def _size_change(record: Record) -> str | None:
    for path, file in record.files.items():
        size = Path(path).stat().st_size if Path(path).exists() else 0
        if size != file.size:
            return f"{path} has {size} bytes, not the recorded {file.size}"
    return None


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Readable differences of two nested mappings: ``attack.steps 20 -> 10``."""
    found = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append(f"{prefix}{key} {before} -> {after}")
    return found
