"""What a run asks a cluster for, and what it refuses before the first job; SLURM's programs are played by scripts."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.projects import one_sentence
from trigger_activation.errors import UserError
from trigger_activation.run.cluster import Cluster

Programs = Callable[..., None]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Puts programs that print something on an otherwise empty PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def install(**outputs: str) -> None:
        for name, output in outputs.items():
            script = tmp_path / name
            script.write_text(f"#!/bin/sh\n{output}\n")
            script.chmod(0o755)

    return install


def complaint(**settings: Any) -> str:
    with pytest.raises(UserError) as refused:
        Cluster(settings).check()
    return one_sentence(str(refused.value))


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [
        ("infinite", math.inf),
        ("2-00:00:00", 2880),
        ("1-12:30:00", 2190),
        ("10:00:00", 600),
        ("30:00", 30),
        ("n/a", math.inf),
    ],
)
def test_a_job_asks_for_no_more_than_its_partition_allows(programs: Programs, limit: str, minutes: float) -> None:
    programs(sinfo=f"echo {limit}")
    cluster = Cluster({"partition": "gpu"})
    assert cluster.longest_minutes == minutes
    assert cluster.minutes(20) == 20
    assert cluster.minutes(39_000) == min(39_000, minutes)


def test_the_shortest_of_several_limits_holds(programs: Programs) -> None:
    programs(sinfo="echo 1-00:00:00; echo 08:00:00")
    assert Cluster({"partition": "a,b"}).longest_minutes == 480
    assert Cluster({"partition": "a,b", "max_hours": 4}).longest_minutes == 240


def test_without_an_answer_nothing_is_limited(programs: Programs) -> None:
    assert Cluster({}).minutes(39_000) == 39_000
    assert Cluster({"partition": "gpu"}).minutes(39_000) == 39_000
    programs(sinfo="exit 1", sbatch="")
    assert Cluster({"partition": "gpu"}).minutes(39_000) == 39_000
    Cluster({"partition": "gpu"}).check()


def test_what_cannot_be_submitted_is_refused(programs: Programs) -> None:
    assert "no partition is set" in complaint(partition=None)
    assert "there is no sbatch here" in complaint(partition="gpu")
    programs(sbatch="", sinfo="")
    assert "there is no partition 'gpu'" in complaint(partition="gpu")
    assert "max_hours is '2 days'" in complaint(partition="gpu", max_hours="2 days")
    assert "max_hours is 0" in complaint(partition="gpu", max_hours=0)


def test_tries_of_the_longest_job_are_told(programs: Programs) -> None:
    programs(sinfo="echo 2-00:00:00")
    cluster = Cluster({"partition": "gpu"})
    assert cluster.notice("x.safetensors", 48) is None
    assert "x.safetensors takes about 219 hours, and a job here may last 48: it needs 5 tries" in str(
        cluster.notice("x.safetensors", 219)
    )
