"""DVC through its command line: which files it lists, and how they come and go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from trigger_activation.errors import UserError

CLASSES = ("datasets", "checkpoints", "taes", "purified", "predictions")
"""Folders below ``results/`` whose files DVC keeps; each of their folders is tracked on its own."""


def run(*arguments: str, **environment: str) -> str:
    """What a DVC command prints on stdout; on a terminal its progress shows.

    Args:
        arguments: of the command line.
        environment: variables beside those of this process.

    Raises:
        UserError: it fails.
    """
    shown = None if sys.stderr.isatty() else subprocess.PIPE
    result = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=shown,
        text=True,
        check=False,
    )
    if result.returncode:
        raise UserError(f"`dvc {arguments[0]}` failed: {_complaint(result.stderr)}")
    return result.stdout


def _complaint(printed: str | None) -> str:
    """DVC's error in one line."""
    if printed is None:
        return "see above"
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    return "; ".join(line.removeprefix("ERROR: ") for line in errors) or "it says nothing"


def remote() -> str:
    """The name of the default remote.

    Raises:
        UserError: there is none, or it does not verify what it delivers.
    """
    settings = dict(line.split("=", 1) for line in run("config", "--list").splitlines() if "=" in line)
    name = settings.get("core.remote")
    if name is None:
        raise UserError(
            "no remote is set: name the place where artifacts are kept with `dvc remote add --default NAME URL`, and "
            "`dvc remote modify NAME verify true`"
        )
    if settings.get(f"remote.{name}.verify", "").lower() != "true":
        raise UserError(f"remote {name} would deliver damaged files: run `dvc remote modify {name} verify true`")
    return name


def folder(file: str) -> Path | None:
    """The tracked folder that a file lies in, such as ``results/checkpoints/fashion16``; None if DVC keeps it not."""
    parts = Path(file).parts
    if len(parts) < 4 or parts[0] != "results" or parts[1] not in CLASSES:
        return None
    return Path(*parts[:3])


def is_tracked(folder: Path) -> bool:
    """Whether somebody has published files of this folder."""
    return folder.with_name(f"{folder.name}.dvc").exists()


@cache
def listed(folder: Path) -> dict[str, str]:
    """Path -> md5 of the published files of a folder, here or not."""
    if not is_tracked(folder):
        return {}
    entries = json.loads(run("list", ".", str(folder), "--recursive", "--dvc-only", "--json"))
    return {str(folder / entry["path"]): entry["md5"] for entry in entries}


def published_md5(file: str) -> str | None:
    """What DVC knows the published bytes of a file by; None if it is not published."""
    place = folder(file)
    return None if place is None else listed(place).get(file)


def pull(files: Sequence[str]) -> None:
    """Bring single files here.

    Raises:
        UserError: naming one that did not arrive.
    """
    if not files:
        return
    with suppress(UserError):
        run("pull", *files)
        return
    try:
        # Once a pull has failed, DVC's index takes what did not arrive for cached: try again without it.
        with tempfile.TemporaryDirectory() as empty:
            run("pull", *files, DVC_SITE_CACHE_DIR=empty)
    except UserError as error:
        absent = [file for file in files if not Path(file).exists()]
        which = f"{absent[0]} and {len(absent) - 1} other files" if absent else "some files"
        raise UserError(f"{which} did not arrive: run it again, or ask who published them ({error})") from None


def forget_cached(file: str) -> None:
    """Remove what the local cache holds of a published file, which has been found damaged."""
    if md5 := published_md5(file):
        cache_folder = Path(run("cache", "dir").strip())
        (cache_folder / "files" / "md5" / md5[:2] / md5[2:]).unlink(missing_ok=True)
