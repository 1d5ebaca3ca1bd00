"""What is special about a run whose jobs go to a cluster."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.registry.plugin import Plugin
from snakemake_interface_executor_plugins.workflow import WorkflowExecutorInterface

from trigger_activation.errors import UserError
from trigger_activation.plan.graph import digest
from trigger_activation.store.records import hash_file

CONFIG = Path("config")
FROZEN = "TRIGACT_CONFIG"
"""The environment variable that tells jobs where the config of their run lies."""
PROFILE = "workflow/profiles/slurm/config.yaml"
ENCODED = "base64//"
"""How Snakemake begins the resources that it hands on to its jobs."""
PARTITION = re.compile(r"(?:^|:)slurm_partition=['\"]*([\w.,-]+)['\"]*$")
DURATION = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")


@dataclass(frozen=True)
class Cluster:
    """Where jobs go, as Snakemake was told by profiles and options, and SLURM by its own variables."""

    snakemake: WorkflowExecutorInterface | None = None
    """Its promise to executors; None outside of a run."""

    @property
    def is_used(self) -> bool:
        """Whether jobs go to a cluster; known once the run is about to begin."""
        return self._executor is not None and not self._executor.common_settings.local_exec

    @property
    def _executor(self) -> Plugin | None:
        return self.snakemake.executor_plugin if self.snakemake else None

    @cached_property
    def partitions(self) -> str | None:
        """Those that jobs are sent to, with commas between them; None if that is left to the cluster."""
        if self.snakemake is None or self._executor is None:
            return None
        arguments = self.snakemake.spawned_job_args_factory.general_args(self._executor.common_settings)
        encoded = [word.removeprefix(ENCODED) for word in shlex.split(arguments) if word.startswith(ENCODED)]
        found = (PARTITION.search(b64decode(word).decode()) for word in encoded)
        return ",".join(match[1] for match in found if match) or os.environ.get("SBATCH_PARTITION")

    @cached_property
    def limits(self) -> list[float] | None:
        """Minutes that each of the partitions lets a job last; None where SLURM does not answer."""
        return _limits(self.partitions) if shutil.which("sinfo") else None

    @property
    def longest_minutes(self) -> float:
        """How long a job may last: as long as its partition and ``SBATCH_TIMELIMIT`` let it."""
        return min(*(self.limits or ()), math.inf, _minutes(os.environ.get("SBATCH_TIMELIMIT", "")))

    def minutes(self, asked: int) -> int:
        """The time to ask for instead of ``asked``."""
        return int(min(asked, self.longest_minutes))

    def check(self) -> None:
        """Refuse to start what cannot be submitted.

        Raises:
            UserError: the partition that was named is not there, or SLURM is not here.
        """
        if self._executor is None or self._executor.name != "slurm":
            return
        if shutil.which("sbatch") is None:
            raise UserError("there is no sbatch here: start the run on a login node, or without --profile")
        if self.partitions and self.limits == []:
            raise UserError(f"there is no partition {self.partitions!r}: sinfo -s lists them; name one of them")

    def notice(self, longest: str, hours: float) -> str | None:
        """If the longest job of a run takes more time than one may: how many tries it needs."""
        if 60 * hours <= self.longest_minutes:
            return None
        return (
            f"{longest} takes about {hours:.0f} hours, and a job here may last {self.longest_minutes / 60:.0f}: it "
            f"needs {math.ceil(60 * hours / self.longest_minutes)} tries or more, each going on where the last one "
            f"ended. `retries` in {PROFILE} says how many there are after the first."
        )

    def end_tries_of(self, fails_for_good: Callable[[Iterable[str]], bool]) -> None:
        """Let a job whose error will not change be its last try: Snakemake's `retries` knows no such difference.

        Args:
            fails_for_good: tells it from the job's logs.
        """
        scheduler: Any = self.snakemake.scheduler if self.snakemake else None
        report = scheduler.error_callback

        def error_callback(job: Any) -> None:
            if fails_for_good(job.log):
                job.attempt = sys.maxsize
            report(job)

        scheduler.error_callback = error_callback

    def cancel_at_once(self) -> None:
        """Let a run that is stopped cancel all that it has submitted to SLURM, and end.

        The executor's own way passes over its jobs if it is asking how they are just then, still submits those that
        wait for it, and lasts until its next look at the queue, up to three minutes.
        """
        if self._executor is not None and self._executor.name == "slurm":
            executor: Any = self._executor.executor
            executor.cancel = _cancel


def _cancel(executor: Any) -> None:
    """Submit nothing more, and cancel by the name that all jobs of a run have."""
    executor._job_submission_executor.shutdown(cancel_futures=True)
    all_jobs: Any = SubmittedJobInfo(job=None, external_jobid=f"--name={executor.run_uuid}")  # type: ignore[arg-type]
    executor.cancel_jobs([all_jobs])
    executor.wait = False
    shutil.rmtree(executor.tmpdir, ignore_errors=True)


def _limits(partitions: str | None) -> list[float] | None:
    """Of some partitions, or of the cluster's default one."""
    chosen = [f"--partition={partitions}"] if partitions else []
    command = ["sinfo", "--noheader", "--format=%P %l", *chosen]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [line.split() for line in answer.stdout.splitlines()]
    return None if answer.returncode else [_minutes(limit) for name, limit in rows if chosen or name.endswith("*")]


def _minutes(limit: str) -> float:
    """Of a time as SLURM writes it: ``2-00:00:00``, ``2-12``, ``10:00:00``, ``30:00``, ``480``, ``infinite``."""
    match = DURATION.fullmatch(limit)
    if match is None:
        return math.inf
    days, *clock = match.groups()
    numbers = [int(number) for number in clock if number]
    hours, minutes, seconds = ([*numbers, 0, 0] if days or len(numbers) == 3 else [0, *numbers, 0])[:3]
    return 24 * 60 * int(days or 0) + 60 * hours + minutes + seconds / 60


def frozen_config() -> Path:
    """The config folder: in a job of a cluster the copy that its run started with."""
    return Path(os.environ.get(FROZEN, CONFIG))


def freeze_config() -> None:
    """Copy the config for the jobs of this run, so that it may be edited while they wait."""
    files = {str(path): hash_file(path) for path in sorted(CONFIG.rglob("*")) if path.is_file()}
    frozen = Path("results/specs/config") / digest(files)[:16]
    if not frozen.exists():
        unfinished = frozen.with_name(f".partial-{frozen.name}-{os.getpid()}")
        shutil.copytree(CONFIG, unfinished)
        unfinished.rename(frozen)
    os.environ[FROZEN] = str(frozen)
