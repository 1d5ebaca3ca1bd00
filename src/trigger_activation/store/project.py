"""Where a project is: the folder with ``config/``, in which all paths of artifacts begin."""

from __future__ import annotations

import os
from pathlib import Path

from trigger_activation.errors import UserError

MARK = Path("config/config.yaml")
VARIABLE = "TRIGACT_PROJECT"
"""The environment variable that names the project where none is given."""


def project_folder(here: Path) -> Path:
    """The nearest folder, upwards from one, that is a project.

    Raises:
        UserError: there is none.
    """
    for folder in (here, *here.parents):
        if (folder / MARK).is_file():
            return folder
    raise UserError(f"{MARK} is missing in {here} and all folders above it: go to a folder of the project")


def chosen_project(given: str | Path | None) -> Path:
    """The project that a caller means.

    Args:
        given: its folder; if none, the one that ``TRIGACT_PROJECT`` names, or the nearest one upwards from here.

    Raises:
        UserError: there is none.
    """
    named = given or os.environ.get(VARIABLE)
    if named is None:
        try:
            return project_folder(Path.cwd())
        except UserError as error:
            raise UserError(f"{error}, give `project=`, or set {VARIABLE} to a clone of it") from None
    folder = Path(named).expanduser().absolute()
    if not (folder / MARK).is_file():
        raise UserError(f"{folder} is no project, since it has no {MARK}: name a clone, or a folder with its config/")
    return folder
