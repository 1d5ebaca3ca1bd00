"""Layouts and contents of any kind, given to what takes those of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def narrowed(given: Sequence[object], *models: type[T]) -> list[T]:
    """The same, known to be of some models: what the plan put there.

    Raises:
        TypeError: one is of another model.
    """
    found = [each for each in given if isinstance(each, models)]
    if len(found) < len(given):
        others = sorted({type(each).__name__ for each in given if not isinstance(each, models)})
        raise TypeError(f"{', '.join(others)} instead of {' or '.join(model.__name__ for model in models)}")
    return found
