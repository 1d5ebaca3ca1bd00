"""Every kind of artifact and record, damaged in every way: named by the audit, and used by nobody."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.faults.tally import Tally
from tests.support.projects import one_sentence
from tests.support.smoke_project import Project
from trigger_activation.errors import UserError
from trigger_activation.plan import Artifact, Plan
from trigger_activation.run.job import Job
from trigger_activation.run.spec import read_spec, write_spec
from trigger_activation.store.freshness import Freshness
from trigger_activation.store.records import (
    is_json,
    read_content,
    read_record,
    sidecar,
    write_json_artifact,
    write_record,
)
from trigger_activation.store.verification import audit

Damage = Callable[[Path, random.Random], None]
CELL = "results/cells/smoke/standard/pgd/learn_32.json"
CHECKPOINT = "results/checkpoints/smoke/vgg-s__learn_32/seed0.safetensors"
TAE = "results/taes/smoke/vgg-s__standard/seed0/pgd.npz"
TABLE = "paper_tables/smoke/table7.tex"
TEST = "results/datasets/fashion16/test.npz"


def truncate(path: Path, _: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path: Path, _: random.Random) -> None:
    path.write_bytes(b"")


def flip_a_bit(path: Path, chance: random.Random) -> None:
    """One that matters: 1e-5 and 1E-5 differ by a bit and are the same number."""
    before = path.read_bytes()
    while _content(path) == _content(path, before):
        flipped = bytearray(before)
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)


def _content(path: Path, content: bytes | None = None) -> object:
    content = path.read_bytes() if content is None else content
    try:
        return json.loads(content) if path.suffix == ".json" else content
    except ValueError:
        return content


def replace_by(other: str, path: Path, _: random.Random) -> None:
    shutil.copy(other, path)


def lose(path: Path, _: random.Random) -> None:
    path.unlink()


def give_another_recipe(owner: str, path: Path, _: random.Random) -> None:
    """As a program would that writes records like ours."""
    record = read_record(owner)
    assert record is not None
    forged = record.model_copy(update={"recipe": "0" * 64})
    write_json_artifact(path, read_content(owner), forged) if is_json(owner) else write_record(forged)


@dataclass(frozen=True)
class Case:
    """One damage to one file of an artifact."""

    artifact: Artifact
    what: str
    file: Path
    damage: Damage

    def problems(self, plan: Plan, chance: random.Random) -> list[str]:
        """What is wrong with how the project takes it; nothing, if it is named and not used."""
        with self._done(chance):
            freshness = Freshness(plan)
            sentences = [one_sentence(problem) for problem in audit(plan[self.artifact.path], freshness)]
            named = any(str(self.file).removesuffix(".prov.json") in sentence for sentence in sentences)
            remade = not freshness.verdict(self.artifact.path).valid
            used = not remade and self._is_read(plan)
        found = [] if named else [f"{self.file} {self.what} is not named by {sentences}"]
        return [*found, f"{self.file} {self.what} is used"] if used else found

    @contextmanager
    def _done(self, chance: random.Random) -> Iterator[None]:
        before = self.file.read_bytes()
        self.damage(self.file, chance)
        try:
            yield
        finally:
            self.file.write_bytes(before)

    def _is_read(self, plan: Plan) -> bool:
        """Whether the first job that has it as an input takes it."""
        if str(self.file).removesuffix(".prov.json") in self.artifact.by_products:
            return False
        for reader in plan.of_experiment("smoke"):
            for role in (role for role, paths in reader.inputs.items() if self.artifact.path in paths):
                try:
                    Job(read_spec(write_spec(plan, reader), reader.recipe)).records(role)
                except UserError as error:
                    return not {self.artifact.path, str(self.file)} & set(str(error).split())
                return True
        return False


def cases(plan: Plan) -> Iterator[Case]:
    """Every damage to every file of one artifact of each kind that is there."""
    kinds: dict[str, list[Artifact]] = {}
    for artifact in plan.of_experiment("smoke"):
        if Path(artifact.path).exists():
            kinds.setdefault(artifact.kind.name, []).append(artifact)
    for artifacts in kinds.values():
        first, last = artifacts[0], artifacts[-1]
        other = last if last is not first else kinds["cell" if is_json(first.path) else "table"][0]
        yield from _cases(first, other)


def _cases(artifact: Artifact, other: Artifact) -> Iterator[Case]:
    damages: dict[str, Damage] = {"truncated": truncate, "emptied": empty, "with a flipped bit": flip_a_bit}
    for file in (*artifact.files, *artifact.by_products):
        another = next(
            (o for o in (*other.files, *other.by_products) if Path(o).suffix == Path(file).suffix), other.path
        )
        for what, damage in {**damages, "replaced by another": partial(replace_by, another)}.items():
            yield Case(artifact, what, Path(file), damage)
    for owner in (artifact.path, *artifact.by_products):
        forged: dict[str, Damage] = {"with another's recipe": partial(give_another_recipe, owner)}
        if not is_json(owner):
            of_another = other.path if not is_json(other.path) else other.by_products[0]
            forged |= {**damages, "lost": lose, "of another": partial(replace_by, str(sidecar(of_another)))}
        for what, damage in forged.items():
            yield Case(artifact, what, Path(owner) if is_json(owner) else sidecar(owner), damage)


@pytest.fixture(scope="module")
def copy(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of the finished run as the working folder."""
    project = finished.copy_to(tmp_path_factory.mktemp("damaged") / "copy")
    with chdir(project.folder):
        yield project


@pytest.mark.usefixtures("copy")
def test_every_damage_is_named_and_nothing_damaged_is_used(smoke_plan: Plan, tally: Tally) -> None:
    chance, found = random.Random(0), []
    for case in cases(smoke_plan):
        problems = case.problems(smoke_plan, chance)
        tally.count("corruptions", case.artifact.kind.name, not problems)
        found += problems
    assert not found, "\n".join(found)


@pytest.mark.usefixtures("copy")
def test_what_is_sound_is_not_complained_about(smoke_plan: Plan) -> None:
    freshness = Freshness(smoke_plan)
    present = [a for a in smoke_plan.of_experiment("smoke") if Path(a.path).exists()]
    assert len(present) > 100
    assert [problem for artifact in present for problem in audit(artifact, freshness)] == []


def test_runs_mend_what_can_be_made_again_and_refuse_the_rest(finished: Project, tmp_path: Path, tally: Tally) -> None:
    project, chance = finished.copy_to(tmp_path / "copy"), random.Random(0)
    truncate(project.folder / CHECKPOINT, chance)
    empty(sidecar(project.folder / TAE), chance)
    flip_a_bit(project.folder / CELL, chance)
    shutil.copy(project.folder / "paper_tables/smoke/table1.tex", project.folder / TABLE)
    flip_a_bit(project.folder / TEST, chance)
    refused = project.run(TABLE)
    named = f"{TEST} is damaged (its sha256 is not the recorded one): delete it and run again" in refused.stdout
    (project.folder / TEST).unlink()
    mended = project.run(TABLE)
    assert mended.returncode == 0, mended.stdout
    for file in (CHECKPOINT, TAE, CELL, TABLE, TEST):
        same = (project.folder / file).read_bytes() == (finished.folder / file).read_bytes()
        tally.count("corruptions", "through the Snakefile", same and named)
        assert same, file
    assert refused.returncode != 0
    assert named
    assert "Traceback" not in refused.stdout
    assert project.trigact("verify", "smoke").returncode == 0
