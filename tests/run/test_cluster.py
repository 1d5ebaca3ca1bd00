"""What a run asks a cluster for, and what it refuses before the first job; SLURM's programs are played by scripts."""

from __future__ import annotations

import math
import os
import shlex
import time
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace as Fake
from typing import Any

import pytest

from tests.support.projects import one_sentence
from trigger_activation.errors import UserError
from trigger_activation.run import failures
from trigger_activation.run.cluster import Cluster

Programs = Callable[..., None]
LIMIT = "gpu* 1-00:00:00"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Puts programs that print something on an otherwise empty PATH."""
    for variable in ("SBATCH_PARTITION", "SBATCH_TIMELIMIT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    def install(**outputs: str) -> None:
        for name, output in outputs.items():
            script = tmp_path / name
            script.write_text(f"#!/bin/sh\n{output}\n")
            script.chmod(0o755)

    return install


def cluster(*resources: str, executor: str = "slurm", **more: Any) -> Cluster:
    """One whose jobs are given some resources, written as Snakemake hands them on."""
    words = [f"base64//{b64encode(resource.encode()).decode()}" for resource in resources]
    arguments = shlex.join(["--nolock", "--default-resources", *words])
    plugin = Fake(name=executor, common_settings=Fake(local_exec=executor == "local"))
    factory = Fake(general_args=lambda _: arguments)
    snakemake: Any = Fake(executor_plugin=plugin, spawned_job_args_factory=factory, **more)
    return Cluster(snakemake)


def complaint(*resources: str) -> str:
    with pytest.raises(UserError) as refused:
        cluster(*resources).check()
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
    programs(sinfo=f"echo 'gpu* {limit}'")
    found = cluster()
    assert found.longest_minutes == minutes
    assert found.minutes(20) == 20
    assert found.minutes(39_000) == min(39_000, minutes)


@pytest.mark.parametrize(
    "resource",
    ["slurm_partition=long", "slurm_partition='long'", "checkpoint:slurm_partition=long", "SBATCH_PARTITION"],
)
def test_the_partition_is_where_snakemake_and_slurm_look(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, resource: str
) -> None:
    programs(sinfo='case "$*" in *=long*) echo long 10-00:00:00;; *) echo "gpu* 1-00:00:00"; echo long 10-00;; esac')
    assert cluster().longest_minutes == 1440, "the cluster's default partition"
    expression = 'slurm_partition=__import__("os").environ.get("SBATCH_PARTITION")'
    if resource == "SBATCH_PARTITION":
        monkeypatch.setenv(resource, "long")
    assert cluster("mem_mb=500", expression, resource).longest_minutes == 14_400


@pytest.mark.parametrize(("limit", "minutes"), [("90", 90), ("90:30", 90.5), ("2-12", 1440), ("04:00:00", 240)])
def test_the_variable_of_sbatch_limits_too(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, limit: str, minutes: float
) -> None:
    monkeypatch.setenv("SBATCH_TIMELIMIT", limit)
    programs(sinfo=f"echo '{LIMIT}'")
    assert cluster().longest_minutes == minutes


def test_the_shortest_of_several_limits_holds(programs: Programs) -> None:
    programs(sinfo="echo a 1-00:00:00; echo b 08:00:00")
    assert cluster("slurm_partition=a,b").longest_minutes == 480


def test_without_an_answer_nothing_is_limited(programs: Programs) -> None:
    assert Cluster().minutes(39_000) == 39_000
    assert cluster("slurm_partition=gpu").minutes(39_000) == 39_000
    programs(sinfo="exit 1", sbatch="")
    assert cluster("slurm_partition=gpu").minutes(39_000) == 39_000
    cluster("slurm_partition=gpu").check()


def test_what_cannot_be_submitted_is_refused(programs: Programs) -> None:
    assert "there is no sbatch here" in complaint("slurm_partition=gpu")
    programs(sbatch="", sinfo="")
    assert "there is no partition 'gpu'" in complaint("slurm_partition=gpu")
    cluster().check()  # It may stand where only the executor looks.


def test_other_executors_need_no_slurm(programs: Programs) -> None:  # noqa: ARG001
    generic, local = cluster(executor="cluster-generic"), cluster(executor="local")
    generic.check()
    local.check()
    assert generic.is_used
    assert not local.is_used
    assert not Cluster().is_used


def test_tries_of_the_longest_job_are_told(programs: Programs) -> None:
    programs(sinfo="echo 'gpu* 2-00:00:00'")
    assert cluster().notice("x.safetensors", 48) is None
    assert "x.safetensors takes about 219 hours, and a job here may last 48: it needs 5 tries" in str(
        cluster().notice("x.safetensors", 219)
    )


def test_a_stopped_run_submits_no_more_and_cancels_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = type("Executor", (), {"cancel": None})
    for name in ("cluster-generic", "slurm"):
        found = cluster(executor=name)
        monkeypatch.setattr(found.snakemake.executor_plugin, "executor", executor, raising=False)
        found.cancel_at_once()
        assert (executor.cancel is None) is (name != "slurm")
    cancelled: list[Any] = []
    stopped: Any = executor()
    stopped.run_uuid, stopped.cancel_jobs, stopped.tmpdir = "run-1", cancelled.extend, tmp_path / "scripts"
    stopped.tmpdir.mkdir()
    with ThreadPoolExecutor(1) as stopped._job_submission_executor:
        submitting = stopped._job_submission_executor.submit(time.sleep, 0.2)
        waiting = stopped._job_submission_executor.submit(time.sleep, 60)
        stopped.cancel()
        assert submitting.done()
    assert waiting.cancelled()
    assert [job.external_jobid for job in cancelled] == ["--name=run-1"]
    assert not stopped.wait
    assert not stopped.tmpdir.exists()


def test_only_an_error_that_will_change_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Snakemake's rule: a job is tried again while it has had no more tries than retries."""
    reported: list[Any] = []
    scheduler = Fake(error_callback=reported.append)
    cluster(scheduler=scheduler).end_tries_of(failures.fails_for_good)
    holder, log = tmp_path / "holder", tmp_path / "log"
    monkeypatch.setattr(failures, "HOLDER", holder)
    job = Fake(log=[str(log)], attempt=1)

    def tries(text: str, age: float = 0) -> int:
        holder.touch()
        log.write_text(text)
        os.utime(log, (holder.stat().st_mtime - age,) * 2)
        job.attempt = 1
        scheduler.error_callback(job)
        return int(job.attempt)

    assert tries("epoch 1\n") == 1
    assert tries(f"ValueError\n\n{failures.FOR_GOOD}\n") > 10**6
    assert tries(f"ValueError\n\n{failures.FOR_GOOD}\n", age=60) == 1, "an earlier run's"
    log.unlink()
    scheduler.error_callback(job)
    assert reported == [job] * 4
