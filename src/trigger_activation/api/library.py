"""The artifacts of a project, for reading: found by name, pulled if they are not here, checked byte by byte."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from trigger_activation.errors import UserError, suggest
from trigger_activation.plan import Artifact, Plan, build_plan, kinds
from trigger_activation.plan.config import load_config
from trigger_activation.plan.config.schema import Config, Protocol
from trigger_activation.plan.kind import Kind
from trigger_activation.store.project import chosen_project
from trigger_activation.store.records import Record, hash_file, read_record


@dataclass(frozen=True)
class Library:
    """A project, its config and its plan."""

    folder: Path
    config: Config
    plan: Plan

    def protocol(self, name: str) -> Protocol:
        """A protocol.

        Raises:
            UserError: there is none of that name.
        """
        if name in self.config.protocols:
            return self.config.protocols[name]
        if name in self.config.experiments:
            slots = ", ".join(dict.fromkeys(self.config.experiments[name].slots.values()))
            raise UserError(f"{name!r} is an experiment, whose protocols are {slots}: name one of these")
        raise UserError(f"there is no protocol {name!r}: {suggest(name, sorted(self.config.protocols))}")

    def paradigm(self, protocol: str, name: str) -> str:
        """What a paradigm or role of a protocol is called in paths."""
        return self.protocol(protocol).roles.get(name, name)

    def victims(self, protocol: str) -> Iterator[Artifact]:
        """The networks that cells of a protocol evaluate, each once."""
        paths = dict.fromkeys(path for cell in self.cells(protocol) for path in cell.inputs["victims"])
        yield from (self.plan[path] for path in paths)

    def taes(self, protocol: str) -> Iterator[Artifact]:
        """The TAE sets of a protocol."""
        yield from self._of(protocol, kinds.TAE.name)

    def nearest_set(self, tae: Artifact) -> Artifact:
        """What stands for a TAE set: its excerpt where that is here or published, and the set is not here itself."""
        return self._nearest(tae, kinds.EXCERPT)

    def nearest_test_images(self, protocol: str, count: int) -> Artifact:
        """What stands for the test split in the same way, if no more than so many images are needed."""
        whole = self.test_images(protocol)
        excerpt = self._nearest(whole, kinds.DATA_EXCERPT)
        return whole if excerpt is whole or excerpt.parameters.images < count else excerpt

    def _nearest(self, whole: Artifact, kind: Kind) -> Artifact:
        excerpt = self.plan.artifacts.get(kind.path(whole.names))
        if excerpt is None or self.is_here(whole) or not (self.is_here(excerpt) or self._is_published(excerpt)):
            return whole
        return excerpt

    def _is_published(self, artifact: Artifact) -> bool:
        """Whether somebody has published files of its folder."""
        folder = kinds.shared_folder(artifact.path)
        return folder is not None and (self.folder / f"{folder}.dvc").is_file()

    def cells(self, protocol: str) -> Iterator[Artifact]:
        """The cells of a protocol."""
        yield from self._of(protocol, kinds.CELL.name)

    def _of(self, protocol: str, kind: str) -> Iterator[Artifact]:
        self.protocol(protocol)
        return (each for each in self.plan.artifacts.values() if each.kind.name == kind and each.group == protocol)

    def test_images(self, protocol: str) -> Artifact:
        """The test split of a protocol's data set."""
        names = {"dataset": self.protocol(protocol).dataset, "split": "test"}
        return self.plan[kinds.DATASET.path(names)]

    def path(self, artifact: Artifact) -> Path:
        """Where an artifact lies."""
        return self.folder / artifact.path

    def is_here(self, artifact: Artifact) -> bool:
        """Whether there is a file where an artifact should be."""
        return self.path(artifact).is_file()

    def fetch(self, artifacts: Sequence[Artifact]) -> list[Record]:
        """The records of some artifacts, which are here afterwards, with the bytes that were recorded.

        Raises:
            UserError: one is not here and cannot be pulled, or is of another recipe than the plan's.
        """
        absent = [each for each in artifacts if self._intact(each) is None]
        trouble = self._pull(absent) if absent else None
        return [self._record(each, trouble) for each in artifacts]

    def _pull(self, artifacts: Sequence[Artifact]) -> UserError | None:
        """Pull some artifacts; what went wrong, if anything did."""
        if find_spec("dvc") is None:
            return UserError("DVC is not installed, which `pip install 'trigger-activation[workflow]'` does")
        from trigger_activation.store import dvc
        from trigger_activation.store.pull import pull

        dvc.forget()
        try:
            with chdir(self.folder), redirect_stdout(sys.stderr):
                pull(self.plan, [each.path for each in artifacts], with_inputs=False)
        except UserError as error:
            return error
        return None

    def _record(self, artifact: Artifact, trouble: UserError | None) -> Record:
        path = artifact.path
        if (record := self._intact(artifact)) is not None:
            if record.recipe == artifact.recipe:
                return record
            raise UserError(
                f"{path} is of another recipe than config/ plans: `snakemake {path}` makes it anew, or move "
                "it and its sidecar away to pull the published one"
            )
        state = "is damaged" if self.is_here(artifact) else "is not here"
        why = f"could not be pulled ({trouble})" if trouble else "is not published"
        raise UserError(f"{path} {state} and {why}: `snakemake {path}` makes it")

    def _intact(self, artifact: Artifact) -> Record | None:
        """The record of an artifact whose bytes are those that were recorded; None otherwise."""
        try:
            record = read_record(str(self.path(artifact)))
        except UserError:
            return None
        if record is None or record.path != artifact.path:
            return None
        whole = all(
            (self.folder / name).is_file() and hash_file(self.folder / name) == file.sha256
            for name, file in record.files.items()
        )
        return record if whole else None


def library(project: str | Path | None = None) -> Library:
    """A project as its config is now.

    Args:
        project: its folder, see :func:`chosen_project`.
    """
    folder = chosen_project(project)
    files = sorted((folder / "config").rglob("*.*"))
    return _library(folder, tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files))


@cache
def _library(folder: Path, _: tuple[tuple[str, int, int], ...]) -> Library:
    config = load_config(folder / "config")
    return Library(folder, config, build_plan(config))


def chosen(artifacts: Iterable[Artifact], asked: Mapping[str, str], what: str) -> Artifact:
    """The artifact with some names.

    Args:
        artifacts: all that there are of its sort.
        asked: name -> value, those that leave most to choose from first.
        what: they are, for messages.

    Raises:
        UserError: there is none; the first value that none has is named, with the nearest one that there is.
    """
    left = list(artifacts)
    told: list[str] = []
    for name, value in asked.items():
        known = {names_of(each)[name]: None for each in left}
        if value not in known:
            among = f" of {' and '.join(told)}" if told else ""
            raise UserError(f"there is no {what}{among} with {name} {value!r}: {suggest(value, sorted(known))}")
        left = [each for each in left if names_of(each)[name] == value]
        told.append(f"{name} {value!r}")
    return left[0]


def names_of(artifact: Artifact) -> dict[str, str]:
    """The names of a network or TAE set; a network that was trained elsewhere has its own in place of a paradigm."""
    names = dict(artifact.names)
    if "victim" in names:
        names |= {"paradigm": names["victim"], "seed": "0"}
    return names
