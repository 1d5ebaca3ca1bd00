"""Names and values that several config files share."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, JsonValue, PositiveInt

SLUG = r"[a-z0-9-]+(?:_[a-z0-9-]+)*(?:\.[0-9]+)?"
"""Names in paths; never with a double underscore, which separates the parts of a file name."""


def _check_slug(name: str) -> str:
    if not re.fullmatch(SLUG, name):
        raise ValueError(f"{name!r} is no valid name: use lower-case letters, digits, hyphens and single underscores")
    return name


T = TypeVar("T")
STANDARD = "standard"
"""The paradigm of undefended networks."""
CLEAN = "clean"
"""The name that rows of clean images have in place of an attack's."""
WHITE_BOX = "pgd_quarter"
"""The attack that white-box rows run beside AutoAttack, for which larger steps are stronger than those of ``pgd``."""
WITHOUT_TRIGGER = "without_trigger"
"""The name of the mean over clean images that victims see without their trigger."""

Name = Annotated[str, AfterValidator(_check_slug)]


def check_distinct(values: list[T]) -> list[T]:
    """Refuse a list that names something twice."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value!r} is listed twice: keep one")
    return values


Distinct = Annotated[list[T], Field(min_length=1), AfterValidator(check_distinct)]
"""A list of at least one value, no two alike."""
Slot = Literal["A", "B", "C"]
Report = Literal["findings", "comparison", "audit", "metrics", "page", "pdf"]
"""What was found, the run beside the published numbers, these numbers' own arithmetic, all numbers as YAML, and
everything on one page or in one PDF.
"""
SeedCount = Annotated[int, Field(ge=1, le=1000)]
Decimals = Annotated[int, Field(ge=0, le=4)]
Surrogates = Literal["standard", "same"]
"""``same``: adaptive attackers, who train surrogates by the victim's own paradigm."""
Knowledge = Literal["victim", "trigger", "trigger_trained"]
"""What attackers know who know more than a surrogate: the victim with its trigger and preprocessing, whose answers and
gradients they take; its trigger, which they add to undefended networks; its trigger, with which they train networks.
"""
Pairs = Literal["all", "off_diagonal"]
"""Of surrogate and victim architectures."""
VariantParameters = dict[str, JsonValue]


BySide = dict[PositiveInt, Annotated[float, Field(gt=0)]]
"""A number for images up to a side in pixels."""
