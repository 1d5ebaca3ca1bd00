"""Artifacts without content, under the names and recipes of a plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.support.projects import environment

from trigger_activation.plan import Artifact
from trigger_activation.store.records import (
    FileRecord,
    Record,
    file_record,
    is_json,
    read_record,
    write_json_artifact,
    write_record,
)


def tiny(path: Path, artifact: Artifact) -> FileRecord:
    """A few bytes."""
    path.write_text(f"{artifact.recipe} of {path}")
    return file_record(path)


def sparse(size: Callable[[Artifact], int]) -> Callable[[Path, Artifact], FileRecord]:
    """Files of a size that take no room on disk, with a sha256 that nobody may compare."""

    def write(path: Path, artifact: Artifact) -> FileRecord:
        path.touch()
        os.truncate(path, size(artifact))
        return FileRecord(sha256=artifact.recipe, size=size(artifact))

    return write


def invent(artifacts: Iterable[Artifact], write: Callable[[Path, Artifact], FileRecord] = tiny) -> None:
    """Write artifacts into the working directory, inputs first, with records that make them valid.

    Args:
        artifacts: inputs first.
        write: writes one file.
    """
    known: dict[str, str] = {}
    for artifact in artifacts:
        for file in (*artifact.files, *artifact.by_products):
            Path(file).parent.mkdir(parents=True, exist_ok=True)
        record = Record(
            path=artifact.path,
            kind=artifact.kind.name,
            recipe=artifact.recipe,
            parameters=artifact.settings,
            versions=dict(artifact.versions),
            inputs={path: known[path] for path in artifact.input_paths},
            environment=environment(1.0),
        )
        if is_json(artifact.path):
            content = {"invented": artifact.recipe}
            write_json_artifact(Path(artifact.path), content, record.model_copy(update={"environment": None}))
        else:
            files = {file: write(Path(file), artifact) for file in artifact.files}
            write_record(record.model_copy(update={"files": files}))
        for path in artifact.by_products:
            files = {path: write(Path(path), artifact)}
            write_record(record.model_copy(update={"path": path, "files": files}))
        written = read_record(artifact.path)
        assert written is not None
        known[artifact.path] = written.sha256
