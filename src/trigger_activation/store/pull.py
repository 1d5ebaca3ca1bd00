"""Bring here what a target needs of the published artifacts, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from trigger_activation.errors import UserError
from trigger_activation.plan.graph import Plan
from trigger_activation.store import dvc
from trigger_activation.store.lock import RunLock
from trigger_activation.store.records import Record, damaged_files, read_record, sidecar


def pull(plan: Plan, targets: Sequence[str], with_inputs: bool = True) -> None:
    """Pull what the targets need that is not here, and check every byte.

    Args:
        plan: what is asked for.
        targets: files of it: each comes itself if it is published, otherwise what it is made from.
        with_inputs: whether to look for what a target is made from where it is not published itself.

    Raises:
        UserError: a run is writing here, no remote is set, the disk is full, or something is lost or damaged at the
            remote.
    """
    lock = RunLock()
    lock.acquire()
    try:
        dvc.remote()
        dvc.remove_leftovers(idle_seconds=60)
        lost: list[UserError] = []
        _pull(list(_wanted(plan, targets, lost, with_inputs)), " ".join(targets), lost)
        if lost:
            raise UserError("; ".join(map(str, lost)))
    finally:
        lock.release()


def _pull(records: Sequence[Record], targets: str, lost: list[UserError]) -> None:
    """Pull the files of some records that are not here, and compare them; what does not come is told by ``lost``."""
    files = {name: file for record in records for name, file in record.files.items() if not Path(name).exists()}
    if not files:
        print(f"Nothing to pull for {targets}: what is published of it and fits its recipe is here.")
        return
    size = sum(file.size for file in files.values())
    plural = "s" * (len(files) > 1)
    print(f"Pulling {len(files)} file{plural}, {size / 2**20:.1f} MiB, for {targets}.", flush=True)
    try:
        dvc.pull(list(files), size)
    except dvc.NotArrivedError as error:
        lost.append(error)
    _mend(_damaged(records))
    if damaged := _damaged(records):
        for name in damaged:
            Path(name).unlink()
        raise UserError(
            f"what the remote holds of {', '.join(damaged)} is damaged: let Snakemake make it, or tell who published it"
        )
    if not lost:
        print("They are here, with the bytes that were recorded.")


def _damaged(records: Iterable[Record]) -> list[str]:
    return [name for record in records for name in damaged_files(record) if Path(name).exists()]


def _wanted(plan: Plan, targets: Iterable[str], lost: list[UserError], with_inputs: bool) -> Iterator[Record]:
    """The published artifacts nearest to the targets that are not here; their sidecars are, afterwards.

    Args:
        plan: what is asked for.
        targets: files of it.
        lost: takes what is wrong with sidecars that do not come; what their artifacts are made from is wanted instead.
        with_inputs: whether to go on from targets that are not published to what they are made from.
    """
    level = list(dict.fromkeys(targets))
    seen = set(level)
    while level:
        absent = [path for path in level if not _is_here(plan, path)]
        fitting = [record for record in _offers(absent, lost) if record.recipe == plan.owner(record.path).recipe]
        yield from fitting
        if not with_inputs:
            return
        found = {record.path for record in fitting}
        below = [parent for path in absent if path not in found for parent in plan.owner(path).input_paths]
        level = [path for path in dict.fromkeys(below) if path not in seen]
        seen.update(level)


def _is_here(plan: Plan, path: str) -> bool:
    record = intact(path)
    return record is not None and record.recipe == plan.owner(path).recipe


def intact(path: str) -> Record | None:
    """The record of a file that is as it was recorded; None otherwise."""
    try:
        record = read_record(path)
    except UserError:
        return None
    return None if record is None or damaged_files(record) else record


def _offers(paths: Sequence[str], lost: list[UserError]) -> list[Record]:
    """The records of those of some files that are published."""
    published = [path for path in paths if dvc.published_md5(path) and dvc.published_md5(str(sidecar(path)))]
    offered = [path for path in published if intact(path) is None]
    if others := [path for path in published if path not in offered]:
        print(
            f"Of other recipes than the planned ones, and kept: {dvc.names(others)}. Snakemake makes them anew; to "
            "pull what is published in their place, move them and their sidecars away."
        )
    for path in offered:
        _make_room(path)
    sidecars = [str(sidecar(path)) for path in offered]
    try:
        dvc.pull([file for file in sidecars if not Path(file).exists()])
        _mend([file for file in sidecars if Path(file).exists() and md5(file) != dvc.published_md5(file)])
    except dvc.NotArrivedError as error:
        lost.append(error)
    return [record for path in offered for record in [read_record(path)] if record is not None]


def _make_room(path: str) -> None:
    """Remove what an interrupted pull or a damaged disk left of an artifact."""
    for file in (path, str(sidecar(path))):
        if Path(file).exists() and md5(file) != dvc.published_md5(file):
            Path(file).unlink(missing_ok=True)


def md5(file: str) -> str:
    """What DVC knows a file's bytes by."""
    with Path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def _mend(damaged: Sequence[str]) -> None:
    """Pull again, past the local cache, which delivers damaged objects without a word."""
    for file in damaged:
        dvc.forget_cached(file)
        Path(file).unlink(missing_ok=True)
    dvc.pull(damaged)
