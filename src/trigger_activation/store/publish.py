"""Hand the artifacts of this folder to DVC and its remote; what others published stays listed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from trigger_activation.errors import UserError
from trigger_activation.plan.graph import Artifact
from trigger_activation.plan.kinds import shared_folder
from trigger_activation.store import dvc
from trigger_activation.store.environment import git
from trigger_activation.store.lock import RunLock
from trigger_activation.store.pull import intact, md5
from trigger_activation.store.records import sidecar

SHOWN = 5
"""Artifacts that a refusal names, and files of each."""


def publish(artifacts: Iterable[Artifact]) -> None:
    """Record what is here of some artifacts with DVC and push it.

    Args:
        artifacts: those to publish, as far as they are here.

    Raises:
        UserError: a run is writing here, no remote is set, the push fails, or an artifact is damaged, stale, or made
            by code that no commit holds. Nothing new is listed then.
    """
    lock = RunLock()
    lock.acquire()
    try:
        remote = dvc.remote()
        by_folder = _files_by_folder(artifacts)
        for folder, files in by_folder.items():
            _check_only_known(folder, files)
        _record_and_push(by_folder)
    finally:
        lock.release()
    _report(by_folder, remote)


def _files_by_folder(artifacts: Iterable[Artifact]) -> dict[Path, list[str]]:
    """Tracked folder -> files to publish, after checking each of them."""
    by_folder: dict[Path, list[str]] = defaultdict(list)
    problems = []
    for artifact in artifacts:
        for path in (artifact.path, *artifact.by_products):
            folder = shared_folder(path)
            if folder is None or not Path(path).exists():
                continue
            problem = _problem(artifact, path)
            problems += [f"{path} {problem}"] if problem else []
            by_folder[folder] += [path, str(sidecar(path))]
    if problems:
        more = f", and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise UserError(f"nothing was published: {'; '.join(problems[:SHOWN])}{more}: make these anew or delete them")
    if not by_folder:
        raise UserError("there is nothing to publish: no data set, checkpoint, TAE set or predictions are here")
    return by_folder


def _problem(artifact: Artifact, path: str) -> str | None:
    """Why a file cannot be published."""
    record = intact(path)
    if record is None:
        return "is not as its sidecar says"
    if record.recipe != artifact.recipe:
        return "is stale"
    environment = record.environment
    if environment is None or environment.commit is None or environment.dirty:
        changes = environment.changes if environment else ()
        changed = f" (changed were {', '.join(changes[:SHOWN])})" if changes else ""
        return f"was made by code that no commit holds{changed}"
    return None


def _check_only_known(folder: Path, files: Sequence[str]) -> None:
    """A folder becomes tracked as a whole, so nothing else may lie in it."""
    unknown = {str(path) for path in folder.rglob("*") if path.is_file()} - set(files)
    if unknown and not dvc.is_tracked(folder):
        raise UserError(
            f"{folder} is published for the first time, as a whole, but {min(unknown)} in it is not among what you "
            "publish: publish without naming an experiment, or move it away"
        )


def _record_and_push(by_folder: Mapping[Path, Sequence[str]]) -> None:
    """List the files in ``.dvc`` files, which are as before if the push fails."""
    before = {path: path.read_bytes() if path.exists() else None for path in map(_dvc_file, by_folder)}
    try:
        _record(by_folder)
        dvc.run("push", *map(str, before))
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        raise


def _dvc_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.dvc")


def _record(by_folder: Mapping[Path, Sequence[str]]) -> None:
    """List the files; those that are listed and not here stay listed."""
    new = []
    for folder, files in by_folder.items():
        if dvc.is_tracked(folder):
            new += [file for file in files if dvc.listed(folder).get(file) != md5(file)]
        else:
            new.append(str(folder))
    if new:
        dvc.run("add", *new)


def _report(folders: Iterable[Path], remote: str) -> None:
    """Say what git does not hold yet, also of a publication that was killed."""
    written = [file for folder in folders for file in (_dvc_file(folder), folder.with_name(".gitignore"))]
    uncommitted = git(
        "ls-files", "--modified", "--others", "--exclude-standard", "--", *dict.fromkeys(map(str, written))
    )
    if not uncommitted:
        print(f"Remote {remote} has it all; nothing is new.")
        return
    print(f"Remote {remote} has it all. To let others know of it:")
    print(f"  git add {' '.join(uncommitted.splitlines())} && git commit -m 'Publish artifacts' && git push")
