"""Audits: every byte of an artifact against its record, and the record against the plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trigger_activation.errors import UserError
from trigger_activation.plan.graph import Artifact
from trigger_activation.store.freshness import Freshness, Status
from trigger_activation.store.records import damaged_files, read_record


def audit(artifact: Artifact, freshness: Freshness) -> list[str]:
    """What is wrong with an artifact and its by-products, a sentence each; of those that are not there, nothing."""
    present = [path for path in (artifact.path, *artifact.by_products) if Path(path).exists()]
    problems = [problem for path in present for problem in _problems(path, artifact)]
    verdict = freshness.verdict(artifact.path)
    if verdict.status is Status.STALE and not problems:
        problems.append(f"{artifact.path} is stale ({verdict.reason}): run again, which makes it anew")
    return problems


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
