"""The one exception that users see, and the remedy for names that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend.

    The message is one sentence that says what is wrong, where, and how to mend it.
    """


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that an unknown one probably means."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def suggest(name: str, known: Iterable[str]) -> str:
    """The remedy for an unknown name: the closest known one, or the list of them."""
    choices = list(known)
    close = nearest(name, choices)
    if close is not None:
        return f"did you mean {close!r}?"
    return "choose one of " + ", ".join(choices) if choices else "there is none yet, add one"
