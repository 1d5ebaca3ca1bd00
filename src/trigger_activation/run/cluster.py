"""What is special about a run whose jobs go to a cluster."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trigger_activation.errors import UserError
from trigger_activation.plan.graph import digest
from trigger_activation.store.records import hash_file

CONFIG = Path("config")
FROZEN = "TRIGACT_CONFIG"
"""The environment variable that tells jobs where the config of their run lies."""
SETTINGS, PROFILE = "workflow/profiles/slurm/settings.yaml", "workflow/profiles/slurm/config.yaml"


@dataclass(frozen=True)
class Cluster:
    """Where jobs go: account and partition; empty on a single machine."""

    settings: Mapping[str, Any]

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Cluster:
        """From the key ``cluster`` that the profile's settings bring along."""
        return cls(settings.get("cluster") or {})

    @property
    def is_used(self) -> bool:
        """Whether jobs go to a cluster."""
        return bool(self.settings)

    @property
    def resources(self) -> dict[str, str]:
        """Account and partition, as the executor wants to be told."""
        given = {name: self.settings.get(name) for name in ("account", "partition")}
        return {f"slurm_{name}": str(value) for name, value in given.items() if value}

    @cached_property
    def limits(self) -> list[float] | None:
        """Minutes that each of the partitions lets a job last; None where SLURM does not answer."""
        partition = self.settings.get("partition")
        return _limits(partition) if partition and shutil.which("sinfo") else None

    @property
    def longest_minutes(self) -> float:
        """How long a job may last: what the settings say, but no longer than a partition lets it."""
        hours = self.settings.get("max_hours")
        limits = [*(self.limits or ()), 60 * hours if isinstance(hours, int | float) else math.inf]
        return float(min(limits))

    def minutes(self, asked: int) -> int:
        """The time to ask for instead of ``asked``."""
        return int(min(asked, self.longest_minutes))

    def check(self) -> None:
        """Refuse to start what cannot be submitted.

        Raises:
            UserError: no partition is set or it is not there, or SLURM is not here.
        """
        if not self.is_used:
            return
        partition = self.settings.get("partition")
        if not partition:
            raise UserError(f"no partition is set: write yours, and the account if you need one, into {SETTINGS}")
        if shutil.which("sbatch") is None:
            raise UserError("there is no sbatch here: start the run on a login node, or without --profile")
        hours = self.settings.get("max_hours")
        if hours is not None and not (isinstance(hours, int | float) and hours > 0):
            raise UserError(f"max_hours is {hours!r}: write a positive number, or null, into {SETTINGS}")
        if self.limits == []:
            raise UserError(f"there is no partition {partition!r}: sinfo -s lists them; write yours into {SETTINGS}")

    def notice(self, longest: str, hours: float) -> str | None:
        """If the longest job of a run takes more time than one may: how many tries it needs."""
        if 60 * hours <= self.longest_minutes:
            return None
        return (
            f"{longest} takes about {hours:.0f} hours, and a job here may last {self.longest_minutes / 60:.0f}: it "
            f"needs {math.ceil(60 * hours / self.longest_minutes)} tries or more, each going on where the last one "
            f"ended. `retries` in {PROFILE} says how many there are after the first."
        )


def _limits(partition: str) -> list[float] | None:
    command = ["sinfo", "--noheader", f"--partition={partition}", "--format=%l"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if answer.returncode else [_minutes(limit) for limit in answer.stdout.split()]


def _minutes(limit: str) -> float:
    """Of a time as SLURM prints it: ``2-00:00:00``, ``10:00:00``, ``30:00``, ``infinite``."""
    if not limit[0].isdigit():
        return math.inf
    days, _, clock = limit.rpartition("-")
    seconds = 0
    for part in clock.split(":"):
        seconds = 60 * seconds + int(part)
    return 24 * 60 * int(days or 0) + seconds / 60


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
