"""Records: beside every binary artifact a sidecar, inside every JSON artifact a ``provenance`` key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from trigger_activation.errors import UserError
from trigger_activation.plan.graph import digest
from trigger_activation.store.atomic import write_text
from trigger_activation.store.environment import Environment

SEAL = "seal"
"""The key of a record's own sha256."""
SHORT = 100
"""Characters of a mapping that stands on one line."""


class FileRecord(BaseModel):
    """Identity of one file."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    size: int


class Record(BaseModel):
    """How an artifact came to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    kind: str
    recipe: str
    parameters: dict[str, Any]
    versions: dict[str, int]
    inputs: dict[str, str]
    """Path of each input -> sha256 of the bytes that were read."""
    files: dict[str, FileRecord] = {}
    """The artifact's files; empty in a JSON artifact, which carries ``content_sha256``."""
    content_sha256: str | None = None
    checks: dict[str, Any] = {}
    """What the stage verified or measured on the way."""
    environment: Environment | None = None
    """Where and when it was made; None for files in git, whose bytes are the same everywhere."""

    @property
    def sha256(self) -> str:
        """Identity of the artifact as an input of others."""
        if self.content_sha256 is not None:
            return self.content_sha256
        return self.files[self.path].sha256


def hash_file(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_record(path: Path) -> FileRecord:
    """Identity of a file on disk."""
    return FileRecord(sha256=hash_file(path), size=path.stat().st_size)


def damaged_files(record: Record) -> list[str]:
    """Files of an artifact that are not there or have other bytes than were recorded."""
    return [
        name for name, file in record.files.items() if not Path(name).exists() or hash_file(Path(name)) != file.sha256
    ]


def sidecar(path: str | Path) -> Path:
    """Where the record of a binary artifact lies."""
    return Path(f"{path}.prov.json")


def is_json(path: str) -> bool:
    """Whether an artifact carries its record inside."""
    return path.endswith(".json")


def write_record(record: Record) -> None:
    """Write a sidecar."""
    write_text(sidecar(record.path), _dump(_sealed(record)))


def write_json_artifact(path: Path, content: dict[str, Any], record: Record) -> None:
    """Write content and record in one file, so that neither exists without the other."""
    complete = record.model_copy(update={"content_sha256": digest(content)})
    write_text(path, _dump({"content": content, "provenance": _sealed(complete)}))


def _sealed(record: Record) -> dict[str, Any]:
    """A record as JSON with the sha256 of all the rest in it, since stages and the page read what it says."""
    document = record.model_dump(mode="json", exclude_defaults=True)
    return {**document, SEAL: digest(document)}


def _unsealed(document: dict[str, Any]) -> Record | None:
    """The record again; None if somebody changed it. Those from before there were seals are taken as they are."""
    said = {key: value for key, value in document.items() if key != SEAL}
    unchanged = document.get(SEAL, digest(said)) == digest(said)
    return Record.model_validate(said) if unchanged else None


def _dump(document: dict[str, Any]) -> str:
    return f"{_laid_out(document)}\n"


def _laid_out(value: Any, margin: str = "") -> str:
    """JSON with keys sorted; a list without mappings takes one line, and so does a short mapping of plain values.

    Cells hold hundreds of numbers: on a line each, a difference of two runs would be as long as the cells themselves.
    """
    flat = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    inner = f"{margin} "
    if isinstance(value, dict) and (len(flat) > SHORT or any(isinstance(item, dict | list) for item in value.values())):
        keys = {key: json.dumps(key, ensure_ascii=False) for key in sorted(value)}
        entries = [f"{inner}{shown}: {_laid_out(value[key], inner)}" for key, shown in keys.items()]
        return f"{{\n{_lines(entries)}\n{margin}}}"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return f"[\n{_lines(inner + _laid_out(item, inner) for item in value)}\n{margin}]"
    return flat


def _lines(entries: Iterable[str]) -> str:
    return ",\n".join(entries)


def read_artifact(path: str) -> tuple[Record | None, dict[str, Any] | None]:
    """The record of an artifact, or None where there is none; and its content, if it is JSON.

    Raises:
        UserError: there is one that cannot be read or was changed, or a JSON artifact whose content is not what was
            recorded.
    """
    source = Path(path) if is_json(path) else sidecar(path)
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None, None
    except ValueError:
        raise UserError(f"{source} is damaged: delete it and run again") from None
    return parse_artifact(path, text, source)


def parse_artifact(path: str, text: str, source: Path) -> tuple[Record, dict[str, Any] | None]:
    """The record of an artifact and its content, if it is JSON; raises as :func:`read_artifact` does.

    Args:
        path: of the artifact.
        text: of the file that holds its record.
        source: of that file, for error messages.
    """
    try:
        document = json.loads(text)
        content = document["content"] if is_json(path) else None
        record = _unsealed(document["provenance"] if is_json(path) else document)
        intact = record is not None and (
            record.content_sha256 == digest(content) if is_json(path) else record.path in record.files
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{source} is damaged: delete it and run again") from None
    if not intact or record is None:
        raise UserError(f"{source} was edited after it was measured: restore it or delete it and run again")
    return record, content


def read_record(path: str) -> Record | None:
    """The record of an artifact, or None where there is none; raises as :func:`read_artifact` does."""
    return read_artifact(path)[0]


def read_content(path: str) -> dict[str, Any]:
    """The content of a JSON artifact whose hash has been checked.

    Raises:
        UserError: it is absent, damaged or edited.
    """
    content = read_artifact(path)[1]
    if content is None:
        raise UserError(f"{path} is missing: ask Snakemake for it")
    return content
