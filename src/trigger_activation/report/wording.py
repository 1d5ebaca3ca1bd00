"""Lists and durations in words, and captions in sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

LEAD = 40
"""Words of a caption that stand beside what it is about, at most."""
SENTENCE = re.compile(r"(?<=\.) (?=[A-Zα-ω(±†])")


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def duration(seconds: float) -> str:
    """``75`` -> ``1 min 15 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def sentences(caption: str) -> list[str]:
    """Of a caption in plain text."""
    return SENTENCE.split(caption) if caption else []


def folded(sentences: Sequence[str]) -> tuple[str, str]:
    """The first sentence of a caption, unless it is too long, and the rest, which stands elsewhere."""
    first = sentences[:1] if len(sentences[0].split()) <= LEAD else []
    return " ".join(first), " ".join(sentences[len(first) :])
