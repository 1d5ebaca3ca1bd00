"""What is special about a run whose jobs go to a cluster."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trigger_activation.errors import UserError
from trigger_activation.plan.artifact import digest
from trigger_activation.provenance.record import hash_file

CONFIG = Path("config")
FROZEN = "TRIGACT_CONFIG"
"""The environment variable that tells jobs where the config of their run lies."""
SETTINGS = "workflow/profiles/slurm/settings.yaml"


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

    def check(self) -> None:
        """Refuse to start what cannot be submitted.

        Raises:
            UserError: no partition is set, or SLURM is not here.
        """
        if not self.is_used:
            return
        if not self.settings.get("partition"):
            raise UserError(f"no partition is set: write yours, and the account if you need one, into {SETTINGS}")
        if shutil.which("sbatch") is None:
            raise UserError("there is no sbatch here: start the run on a login node, or without --profile")


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
