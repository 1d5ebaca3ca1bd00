"""The same bytes, however many jobs run at once, in whichever process and in whatever order.

On one processor, of whichever kind: another kind may round otherwise, so runs of the same machine are compared.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.campaign import CELLS, Reference, files_of
from tests.faults.tally import Tally
from tests.support.smoke_project import Project, make, new_project
from trigger_activation.plan import Artifact, Plan

KINDS = {"dataset", "checkpoint", "tae", "cell"}


def shuffled(plan: Plan, seed: int) -> list[Artifact]:
    """What the cells need in a random order, inputs first."""
    chance, waiting, order = random.Random(seed), list(plan.upstream(CELLS)), list[Artifact]()
    while waiting:
        done = {artifact.path for artifact in order}
        ready = [artifact for artifact in waiting if done.issuperset(artifact.input_paths)]
        order.append(chance.choice(ready))
        waiting.remove(order[-1])
    return order


def compare(reference: Reference, project: Project, tally: Tally) -> None:
    """With what two warm workers made side by side."""
    different = []
    for artifact in reference.artifacts:
        found = reference.differences(project, files_of(artifact))
        tally.count("bytes", artifact.kind.name, not found)
        different += found
    assert not different


def test_one_job_at_a_time(reference: Reference, tmp_path: Path, tally: Tally) -> None:
    project = new_project(tmp_path / "alone")
    result = project.execute(project.command(*CELLS, cores=1))
    assert result.returncode == 0, result.stdout
    compare(reference, project, tally)


@pytest.mark.parametrize("seed", [0, 1])
def test_one_process_and_any_order(
    seed: int, reference: Reference, smoke_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    project = new_project(tmp_path / "alone")
    monkeypatch.chdir(project.folder)
    order = shuffled(smoke_plan, seed)
    assert {artifact.kind.name for artifact in order} == KINDS
    for artifact in order:
        make(smoke_plan, artifact.path)
    compare(reference, project, tally)
