"""Hand the artifacts of this folder to DVC and its remote; what others published stays listed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from trigger_activation.errors import UserError
from trigger_activation.plan.graph import Artifact, Plan
from trigger_activation.plan.kinds import EXCERPT, shared_folder
from trigger_activation.plan.sharing import LIMIT
from trigger_activation.store import dvc
from trigger_activation.store.environment import git
from trigger_activation.store.freshness import Freshness
from trigger_activation.store.lock import RunLock
from trigger_activation.store.models import MODELS, declare_models
from trigger_activation.store.pull import intact, md5
from trigger_activation.store.records import Record, read_record, sidecar

SHOWN = 5
"""Artifacts that a refusal names, and files of each."""
Files = Mapping[Path, Sequence[str]]
"""Tracked folder -> files to publish."""


def publish(plan: Plan, artifacts: Sequence[Artifact], in_repository: Collection[str]) -> None:
    """Record what is here of some artifacts with DVC and push it.

    Args:
        plan: of the whole project.
        artifacts: those to publish, as far as they are here.
        in_repository: the files that a remote inside the repository takes; another one takes all.

    Raises:
        UserError: a run is writing here, no remote is set, the push fails, the remote inside the repository would
            become too large, or an artifact is damaged, stale, made by code that no commit holds, or not what the
            cells here were made from. Nothing new is listed then.
    """
    lock = RunLock()
    lock.acquire()
    try:
        dvc.forget()
        remote = dvc.remote()
        inside = dvc.folder_in_repository(remote)
        by_folder = _files_by_folder(plan, artifacts, None if inside is None else in_repository)
        if inside is not None:
            _check_size(by_folder, inside)
        _record_and_push(by_folder)
        if inside is not None:
            dvc.remove_unlisted(remote)
        dvc.forget()
        declare_models(plan)
    finally:
        lock.release()
    _report(by_folder, artifacts, remote, inside)


def _files_by_folder(plan: Plan, artifacts: Iterable[Artifact], chosen: Collection[str] | None) -> Files:
    """Tracked folder -> files to publish, after checking each of them."""
    by_folder: dict[Path, list[str]] = defaultdict(list)
    problems, freshness = [], Freshness(plan)
    published: list[str] = []
    for artifact in artifacts:
        for path in (artifact.path, *artifact.by_products):
            folder = shared_folder(path)
            if folder is None or not Path(path).exists() or (chosen is not None and path not in chosen):
                continue
            problem = _problem(artifact, path, freshness)
            problems += [f"{path} {problem}"] if problem else []
            by_folder[folder] += [path, str(sidecar(path))]
            published.append(path)
    if problems:
        more = f", and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise UserError(f"nothing was published: {'; '.join(problems[:SHOWN])}{more}: make these anew or delete them")
    if not by_folder:
        raise UserError("there is nothing to publish: no data set, checkpoint, TAE set or predictions are here")
    _check_cells(plan, set(published))
    return by_folder


def _problem(artifact: Artifact, path: str, freshness: Freshness) -> str | None:
    """Why a file cannot be published."""
    record = intact(path)
    if record is None:
        return "is not as its sidecar says"
    if record.recipe != artifact.recipe:
        return "is stale"
    if path == artifact.path and not (verdict := freshness.verdict(path)).valid:
        return f"is stale ({verdict.reason})"
    environment = record.environment
    if environment is None or environment.commit is None or environment.dirty:
        changes = environment.changes if environment else ()
        changed = f" (changed were {', '.join(changes[:SHOWN])})" if changes else ""
        return f"was made by code that no commit holds{changed}"
    return None


def _check_cells(plan: Plan, published: Collection[str]) -> None:
    """Refuse what the cells and studies here were not made from: a clone would find them stale."""
    records = {path: record for path in published if (record := read_record(path))}
    excerpts = [record for record in records.values() if record.kind == EXCERPT.name]
    hashes = {path: sha256 for record in excerpts for path, sha256 in record.inputs.items()}
    hashes |= {path: record.sha256 for path, record in records.items()}
    others = [artifact.path for artifact in plan.artifacts.values() if _is_of_other_bytes(artifact, records, hashes)]
    if others:
        shown = " ".join(others[:SHOWN])
        more = f" and {len(others) - SHOWN} more, which `trigact verify` lists" if len(others) > SHOWN else ""
        raise UserError(
            f"nothing was published: {len(others)} cells and studies here were not made from what would be: make them "
            f"anew with `snakemake -f {shown}`{more}, or pull what they were made from"
        )


def _is_of_other_bytes(artifact: Artifact, published: Mapping[str, Record], hashes: Mapping[str, str]) -> bool:
    """Whether a cell or study that is here was made from other bytes than some of these artifacts have."""
    if not artifact.kind.is_in_git or artifact.kind.is_rendered:
        return False
    inputs = [path for path in artifact.input_paths if path in hashes]
    predictions = [path for path in artifact.by_products if path in published]
    if not (inputs or predictions) or (record := read_record(artifact.path)) is None:
        return False
    return any(record.inputs.get(path) != hashes[path] for path in inputs) or any(
        record.inputs != published[path].inputs for path in predictions
    )


def _check_size(by_folder: Files, place: Path) -> None:
    """Refuse more than git should hold, with what is published already and stays so."""
    sizes: dict[str, int] = {}
    for folder in _published_folders() | set(by_folder):
        new = {file: md5(file) for file in by_folder.get(folder, ())}
        sizes |= {digest: Path(file).stat().st_size for file, digest in new.items()}
        stays = {digest: Path(file) for file, digest in dvc.listed(folder).items() if file not in new}
        sizes |= {digest: dvc.object_size(place, digest) or _size(file) for digest, file in stays.items()}
    total = sum(sizes.values())
    if total > LIMIT:
        raise UserError(
            f"nothing was published: {place} would hold {total / 2**20:.0f} MiB, and git should hold no more than "
            f"{LIMIT // 2**20}: choose less in plan/sharing.py, or name a remote elsewhere with `dvc remote add "
            "--default NAME URL`"
        )


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _published_folders() -> set[Path]:
    return {file.with_suffix("") for file in Path("results").glob("*/*.dvc")}


def _record_and_push(by_folder: Mapping[Path, Sequence[str]]) -> None:
    """List the files in ``.dvc`` files, which are as before if the push fails."""
    before = {path: path.read_bytes() if path.exists() else None for path in map(dvc.list_file, by_folder)}
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


def _record(by_folder: Mapping[Path, Sequence[str]]) -> None:
    """List the files; those that are listed and not here stay listed."""
    new: list[str] = []
    for folder, files in by_folder.items():
        if dvc.is_tracked(folder):
            new += [file for file in files if dvc.listed(folder).get(file) != md5(file)]
        elif {str(path) for path in folder.rglob("*") if path.is_file()} <= set(files):
            new.append(str(folder))
        else:
            dvc.start_list(folder)
            new += files
    if new:
        dvc.run("add", *new)


def _report(folders: Iterable[Path], artifacts: Iterable[Artifact], remote: str, inside: Path | None) -> None:
    """Say what git does not hold yet, also of a publication that was killed."""
    lists = [file for folder in folders for file in (dvc.list_file(folder), folder.with_name(".gitignore"))]
    places = [*map(str, dict.fromkeys(lists)), str(MODELS), *_places_in_git(artifacts)]
    uncommitted = list(_uncommitted(places, [str(inside)] if inside else []))
    if not uncommitted:
        print(f"Remote {remote} has it all; nothing is new.")
        return
    print(f"Remote {remote} has it all. To let others know of it:")
    print(f"  git add {' '.join(uncommitted)} && git commit -m 'Publish artifacts' && git push")


def _places_in_git(artifacts: Iterable[Artifact]) -> list[str]:
    """The files of git that belong to what is published: cells, studies, tables and their records."""
    own = (artifact for artifact in artifacts if artifact.kind.is_in_git)
    return [file for each in own for path in each.files for file in (path, str(sidecar(path)))]


def _uncommitted(files: Sequence[str], folders: Sequence[str]) -> Iterator[str]:
    """Those of some files that git has not as they are, many in one folder as that; and folders with anything new."""
    listing = git("ls-files", "--modified", "--deleted", "--others", "--exclude-standard") or ""
    changed = dict.fromkeys(listing.splitlines())
    found = [file for file in files if file in changed]
    by_folder: dict[str, list[str]] = defaultdict(list)
    for file in found:
        by_folder[
            "/".join(Path(file).parts[:3]) if file.startswith("results/cells/") else str(Path(file).parent)
        ].append(file)
    for folder, its in by_folder.items():
        complete = {file for file in changed if file.startswith(f"{folder}/")} == set(its)
        yield from [folder] if complete and len(its) > SHOWN else its
    yield from (folder for folder in folders if any(file.startswith(f"{folder}/") for file in changed))
