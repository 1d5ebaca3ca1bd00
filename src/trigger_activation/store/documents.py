"""JSON artifacts as the models of their kinds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trigger_activation.errors import UserError
from trigger_activation.plan.kinds import named
from trigger_activation.store.records import Record, parse_artifact, read_artifact


@dataclass(frozen=True)
class Document:
    """A JSON artifact: its record, and its content as the model of its kind."""

    record: Record
    content: Any


def read_document(path: str) -> Document | None:
    """A JSON artifact, parsed once and its hash checked; None where there is none.

    Raises:
        UserError: it is damaged, edited, or of a kind that holds no JSON.
    """
    record, content = read_artifact(path)
    return None if record is None or content is None else _document(path, record, content)


def parse_document(path: str, text: str) -> Document:
    """The same from the text of a file that is not at its place, as one of another commit.

    Raises:
        UserError: it is damaged, edited, or not of today's form.
    """
    record, content = parse_artifact(path, text, Path(path))
    try:
        return _document(path, record, content or {})
    except ValidationError:
        raise UserError(f"{path} has another form in that version: it was made by other code") from None


def _document(path: str, record: Record, content: dict[str, Any]) -> Document:
    model = named(record.kind).content
    if model is None:
        raise UserError(f"{path} is no cell and no study: name one of results/cells")
    return Document(record, model.read_from(path, content))
