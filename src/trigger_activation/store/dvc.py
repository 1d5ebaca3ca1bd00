"""DVC through its command line: which files it lists, and how they come and go."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import yaml

from trigger_activation.errors import UserError
from trigger_activation.plan.kinds import SHARED, shared_folder
from trigger_activation.store.atomic import write_text

CACHE = Path(".dvc/cache")
"""Where DVC keeps copies, unless it is told to share them with other repositories."""
TEMPORARY = f".{'?' * 22}.tmp"
"""How DVC names a file while it writes it."""
FULL = ("No space left on device", "Disk quota exceeded")
ROOM = 2**20
"""A disk with fewer free bytes than this is full, however small the files."""


class NotArrivedError(UserError):
    """Some files could not be pulled; the others are here."""


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
        why = "it was killed" if result.returncode < 0 else _complaint(result.stderr)
        raise UserError(f"`dvc {arguments[0]}` failed: {why}")
    return result.stdout


def _complaint(printed: str | None) -> str:
    """DVC's error in one line."""
    if printed is None:
        return "see above"
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    return errors[0].removeprefix("ERROR: ").rstrip(":") if errors else "it says nothing"


def remote() -> str:
    """The name of the default remote.

    Raises:
        UserError: there is none, or it does not verify what it delivers.
    """
    settings = _settings()
    name = settings.get("core.remote")
    if name is None:
        raise UserError(
            "no remote is set: name the place where artifacts are kept with `dvc remote add --default NAME URL`, and "
            "`dvc remote modify NAME verify true`"
        )
    if settings.get(f"remote.{name}.verify", "").lower() != "true":
        raise UserError(f"remote {name} would deliver damaged files: run `dvc remote modify {name} verify true`")
    return name


def _settings() -> dict[str, str]:
    return dict(line.split("=", 1) for line in run("config", "--list").splitlines() if "=" in line)


def folder_in_repository(name: str) -> Path | None:
    """Where a remote lies, if that is a folder of this repository."""
    place = Path(_settings()[f"remote.{name}.url"])
    return place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else None


def object_size(place: Path, md5: str) -> int:
    """Bytes of an object in a remote that is a folder; 0 if it is not there."""
    file = place / "files" / "md5" / md5[:2] / md5[2:]
    return file.stat().st_size if file.exists() else 0


def start_list(folder: Path) -> None:
    """Track a folder with nothing in it yet, so that single files of it can be listed."""
    content = "[]"
    digest = f"{hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()}.dir"
    write_text(_cached(digest), content)
    entry = {"md5": digest, "size": 0, "nfiles": 0, "hash": "md5", "path": folder.name}
    write_text(list_file(folder), yaml.safe_dump({"outs": [entry]}, sort_keys=False))


def remove_unlisted(name: str) -> None:
    """Delete what a remote holds and this working tree does not list, unless other repositories share the cache."""
    command = ("gc", "--workspace", "--cloud", "--remote", name, "--force")
    if _cache_folder().resolve() == CACHE.resolve():
        run(*command)
    else:
        print(f"Other repositories may use this cache, so old objects stay: `dvc {' '.join(command)}` deletes them.")


def list_file(folder: Path) -> Path:
    """The file of git that lists what is published of a folder."""
    return folder.with_name(f"{folder.name}.dvc")


def is_tracked(folder: Path) -> bool:
    """Whether somebody has published files of this folder."""
    return list_file(folder).exists()


@cache
def listed(folder: Path) -> dict[str, str]:
    """Path -> md5 of the published files of a folder, here or not.

    Raises:
        UserError: the list did not arrive, or is not the one that git names.
    """
    if not is_tracked(folder):
        return {}
    with suppress(UserError):
        return _checked(folder, _entries("results"))  # One call for all folders takes no longer than one for this.
    _cached(_list_md5(folder)).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as empty:
        return _checked(folder, _entries(str(folder), DVC_SITE_CACHE_DIR=empty))


@cache
def _entries(place: str, **environment: str) -> dict[str, str]:
    """Path -> md5 of everything published below a folder."""
    try:
        entries = json.loads(run("list", ".", place, "--recursive", "--dvc-only", "--json", **environment))
    except UserError as error:
        raise UserError(
            f"the list of what is published in {place} did not arrive: run it again, or ask who published it ({error})"
        ) from None
    return {f"{place}/{entry['path']}": entry["md5"] for entry in entries if "md5" in entry}


def _checked(folder: Path, entries: dict[str, str]) -> dict[str, str]:
    """Those of some entries that lie in a folder; DVC itself does not compare its lists with their md5."""
    here = {path: md5 for path, md5 in sorted(entries.items()) if path.startswith(f"{folder}/")}
    content = [{"md5": md5, "relpath": path.removeprefix(f"{folder}/")} for path, md5 in here.items()]
    digest = hashlib.md5(json.dumps(content, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
    if f"{digest}.dir" != _list_md5(folder):
        raise UserError(f"the list of what is published in {folder} is damaged at the remote: tell who published it")
    return here


def _list_md5(folder: Path) -> str:
    """What git says of the list of a folder."""
    file = list_file(folder)
    try:
        return str(yaml.safe_load(file.read_text(encoding="utf-8"))["outs"][0]["md5"])
    except (yaml.YAMLError, ValueError, KeyError, IndexError, TypeError):
        raise UserError(f"{file} cannot be read, perhaps since a merge left both sides in it: keep one") from None


def published_md5(file: str) -> str | None:
    """What DVC knows the published bytes of a file by; None if it is not published."""
    place = shared_folder(file)
    return None if place is None else listed(place).get(file)


def may_be_published(file: str) -> bool:
    """Whether a file can be pulled, as far as that is known without asking the remote."""
    place = shared_folder(file)
    if place is None or not is_tracked(place):
        return False
    files = _list_here(place)
    return files is None or file in files


@cache
def _list_here(folder: Path) -> frozenset[str] | None:
    """The published files of a folder; None if their list was not fetched yet."""
    try:
        entries = json.loads(_cached(_list_md5(folder)).read_text(encoding="utf-8"))
        return frozenset(f"{folder}/{entry['relpath']}" for entry in entries)
    except (UserError, OSError, ValueError, KeyError, TypeError):
        return None


def pull(files: Sequence[str], size: int = 0) -> None:
    """Bring single files here.

    Args:
        files: all of them published.
        size: how many bytes that will be, if known.

    Raises:
        NotArrivedError: naming one that did not arrive; the others did.
        UserError: the disk is full.
    """
    if not files:
        return
    with suppress(UserError):
        run("pull", *files)
        return
    remove_leftovers()
    try:
        # Once a pull has failed, DVC's index takes what did not arrive for cached: try again without it.
        with tempfile.TemporaryDirectory() as empty:
            run("pull", *files, DVC_SITE_CACHE_DIR=empty)
    except UserError as error:
        remove_leftovers()
        absent = [file for file in files if not Path(file).exists()]
        if absent and (any(phrase in str(error) for phrase in FULL) or _free() < max(size, ROOM)):
            raise UserError(f"the disk has no room for {names(absent)}: free some space and run again") from None
        _check_out_cached(absent)
        if absent := [file for file in absent if not Path(file).exists()]:
            raise NotArrivedError(
                f"{names(absent)} did not arrive: run it again, or ask who published them ({error})"
            ) from None


def _check_out_cached(files: Sequence[str]) -> None:
    """Write those files that DVC holds: where one could not be fetched, it wrote none."""
    fetched = [file for file in files if (md5 := published_md5(file)) and _cached(md5).exists()]
    if fetched:
        try:
            run("checkout", *fetched)
        except UserError:
            remove_leftovers()


def forget() -> None:
    """Ask again what is published: other commands may have run since, or the working folder is another one."""
    for asked in (listed, _entries, _list_here, _cache_folder):
        asked.cache_clear()


def names(files: Sequence[str]) -> str:
    """One of some files and how many others there are."""
    if len(files) == 1:
        return files[0]
    return f"{files[0]} and {len(files) - 1} other file{'s' * (len(files) > 2)}"


def _free() -> int:
    """Bytes free where files arrive and where they are kept."""
    return min(shutil.disk_usage(place).free for place in (Path(), CACHE) if place.exists())


def remove_leftovers(idle_seconds: float = 0.0) -> None:
    """Delete the half-written files of a DVC that failed or was killed.

    Args:
        idle_seconds: for how long nobody may have written to them.
    """
    for place in (CACHE, *(Path("results") / name for name in SHARED)):
        for path in place.rglob(TEMPORARY):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime >= idle_seconds:
                    path.unlink()


def forget_cached(file: str) -> None:
    """Remove what the local cache holds of a published file, which has been found damaged."""
    if md5 := published_md5(file):
        _cached(md5).unlink(missing_ok=True)


def _cached(md5: str) -> Path:
    """Where the local cache holds an object, if it does."""
    return _cache_folder() / "files" / "md5" / md5[:2] / md5[2:]


@cache
def _cache_folder() -> Path:
    return Path(run("cache", "dir").strip())
