"""One question put to the published numbers, with its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Records = list[dict[str, Any]]


@dataclass(frozen=True)
class Check:
    """One question put to the numbers, and the answer as records of the same keys."""

    name: str
    title: str
    finding: str
    """The answer in one sentence."""
    explanation: str
    records: Records
