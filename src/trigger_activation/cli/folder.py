"""Paths of the project, seen from where the user stands."""

from __future__ import annotations

import os
from pathlib import Path


def from_project(given: str, here: Path, project: Path) -> str:
    """A path that a user gave, seen from the project's folder.

    Args:
        given: seen from ``here``, or from the project's folder, as messages and tables print paths.
        here: where the user stands.
        project: a folder above it, or the same.
    """
    first = Path(given).parts[:1]
    printed = (project / Path(*first)).exists() and not (here / Path(*first)).exists()
    path = Path(os.path.normpath((project if printed else here) / given))
    return str(path.relative_to(project) if path.is_relative_to(project) else path)
