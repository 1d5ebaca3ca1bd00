"""Audits: every byte of an artifact against its record, and the record against the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from trigger_activation.errors import UserError
from trigger_activation.plan.graph import Artifact, Plan
from trigger_activation.plan.incomplete import without_missing
from trigger_activation.plan.kinds import RUN, TABLE
from trigger_activation.store.documents import read_document
from trigger_activation.store.freshness import Freshness, Status
from trigger_activation.store.records import damaged_files, read_record

T = TypeVar("T")


def rendered_without_cells(plan: Plan, artifacts: Iterable[Artifact], freshness: Freshness) -> list[str]:
    """Of the tables among artifacts, the paths of those that were rendered while cells were missing.

    The plan takes each for the table of the cells that are there now, so that it is stale only if another one came.
    """
    found = []
    for table in (artifact for artifact in artifacts if artifact.kind is TABLE):
        record = _readable(read_record, table.path)
        cells = table.inputs["cells"]
        if record and record.parameters.get("missing") and any(freshness.verdict(cell).valid for cell in cells):
            plan.artifacts[table.path] = without_missing(plan, table, lambda cell: freshness.verdict(cell).valid)
            found.append(table.path)
    return found


def audit(artifact: Artifact, freshness: Freshness) -> list[str]:
    """What is wrong with an artifact and its by-products, a sentence each; of those that are not there, nothing."""
    present = [path for path in (artifact.path, *artifact.by_products) if Path(path).exists()]
    problems = [problem for path in present for problem in _problems(path, artifact)]
    verdict = freshness.verdict(artifact.path)
    if verdict.status is Status.STALE and not problems:
        problems.append(f"{artifact.path} is stale ({verdict.reason}): run again, which makes it anew")
    return problems


def origins(artifacts: Iterable[Artifact]) -> Iterator[str]:
    """On what processors and GPUs artifacts were made, as far as records tell, a sentence each."""
    devices: Counter[str] = Counter()
    for artifact in artifacts:
        if artifact.kind is RUN:
            run = _readable(read_document, artifact.path)
            yield from [f"{artifact.path} tells of a run on {', '.join(run.content.devices)}."] if run else []
        elif not artifact.kind.is_in_git:
            record = _readable(read_record, artifact.path)
            devices.update([record.environment.device] if record and record.environment else [])
    yield from (f"{count} artifacts were made on {device}." for device, count in devices.items())


def _readable(read: Callable[[str], T | None], path: str) -> T | None:
    """What is read; None where that is damaged."""
    try:
        return read(path)
    except UserError:
        return None


def _problems(path: str, artifact: Artifact) -> Iterator[str]:
    try:
        record = read_record(path)
    except UserError as error:
        yield str(error)
        return
    if record is None or record.path != path:
        yield f"{path} has no provenance record of its own: delete it and run again"
        return
    if path in artifact.by_products and record.recipe != artifact.recipe:
        yield f"{path} was made by another recipe than {artifact.path}: delete it and run again"
    for name in damaged_files(record):
        if Path(name).exists():
            yield f"{name} is damaged (its sha256 is not the recorded one): delete it and run again"
        else:
            yield f"{name} is missing: run again, which makes it anew"
