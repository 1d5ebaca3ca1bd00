"""Where a number stands on the page of an experiment, as readers link to it: ``table2/pgd/at``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol


class Headed(Protocol):
    """A column."""

    @property
    def label(self) -> str:
        """Its own heading."""

    @property
    def full(self) -> str:
        """With the heading that it shares with its neighbours."""


def address(table: str, row: str, column: str) -> str:
    """Of one number.

    Args:
        table: the name of its file.
        row: its label.
        column: its key, see :func:`column_keys`.
    """
    return f"{table}/{_slug(row)}/{column}"


def column_keys(columns: Sequence[Headed]) -> list[str]:
    """A key for each column: its own heading where that tells it from the others, else both."""
    labels = [column.label for column in columns]
    return [_slug(c.label if labels.count(c.label) == 1 else c.full) for c in columns]


def _slug(label: str) -> str:
    return re.sub(r"[^\w.]+", "-", label.lower()).strip("-")
