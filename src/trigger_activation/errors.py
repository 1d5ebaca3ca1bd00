"""The one exception that users see, and the remedy for names that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend.

    The message is one sentence that says what is wrong, where, and how to mend it.
    """


def suggest(name: str, known: Iterable[str]) -> str:
    """The remedy for an unknown name: the closest known one, or the list of them."""
    choices = list(known)
    close = difflib.get_close_matches(name, choices, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return "choose one of " + ", ".join(choices) if choices else "there is none yet, add one"
