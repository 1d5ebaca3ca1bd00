"""JSON artifacts as the models of their kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trigger_activation.errors import UserError
from trigger_activation.plan.kinds import named
from trigger_activation.store.records import Record, read_artifact


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
    if record is None or content is None:
        return None
    model = named(record.kind).content
    if model is None:
        raise UserError(f"{path} is no cell and no study: name one of results/cells")
    return Document(record, model.read_from(path, content))
