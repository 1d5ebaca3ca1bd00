"""Artifacts as a commit has them."""

from __future__ import annotations

import subprocess

from trigger_activation.errors import UserError
from trigger_activation.store.documents import Document, parse_document


def committed_document(path: str, revision: str = "HEAD") -> Document | None:
    """A JSON artifact of a commit, or None where it has none.

    Raises:
        UserError: this is no git repository with that commit, or the artifact has not today's form.
    """
    command = ["git", "show", f"{revision}:./{path}"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        raise UserError("git is not installed, so nothing is known of committed cells: install it") from None
    if run.returncode == 0:
        return parse_document(path, run.stdout)
    if "exists on disk, but not in" in run.stderr or "does not exist in" in run.stderr:
        return None
    if revision != "HEAD" and "invalid object name" in run.stderr:
        raise UserError(
            f"git knows no {revision} here: name one of `git log`, or fetch it with `git fetch --unshallow` where the "
            "clone is shallow"
        )
    raise UserError("this folder is no git repository with a commit, so there are no committed cells to compare with")
