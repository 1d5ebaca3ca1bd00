"""Where an artifact was made: commit, packages, device, host, time and memory."""

from __future__ import annotations

import platform
import resource
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

PACKAGES = ("torch", "torchvision", "timm", "numpy", "diffusers", "pyautoattack", "safetensors", "snakemake")
TRACKED = ("src", "config", "workflow", "requirements.lock", ":(exclude)workflow/profiles")
"""What makes a working tree dirty; profiles say where and how jobs run."""


class Environment(BaseModel):
    """What a record says about the making of its artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commit: str | None
    """None outside of git."""
    dirty: bool
    """Whether what makes results differed from that commit."""
    changes: tuple[str, ...] = ()
    """The files that differed."""
    packages: dict[str, str]
    """Name -> version."""
    python: str
    host: str
    machine: str
    """Its architecture: ``x86_64``."""
    device: str
    """The GPU's name, or that of the processor."""
    gpu: bool
    arithmetic: str = ""
    """Equal where a recipe gives the same bytes (see ``science.arithmetic``); empty where no networks run."""
    seconds: float
    """Wall time, that of interrupted runs included."""
    cpu_seconds: float
    peak_memory_mib: float


@cache
def code_state() -> dict[str, Any]:
    """Commit, what is changed in the tree that makes results, and package versions."""
    changes = tuple(line[3:] for line in (git("status", "--porcelain", "--", *TRACKED) or "").splitlines())
    return {
        "commit": git("rev-parse", "HEAD"),
        "dirty": bool(changes),
        "changes": changes,
        "packages": dict(_versions()),
        "python": platform.python_version(),
        "host": platform.node(),
        "machine": platform.machine(),
    }


def _versions() -> Iterator[tuple[str, str]]:
    """Of the packages that are installed: a machine that only computes may lack some."""
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            yield name, version(name)


@cache
def processor_name() -> str:
    """The processor as the system names it, for example ``Intel Xeon Processor``."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "cpu"


def git(*arguments: str) -> str | None:
    """What git prints; None where it fails or is not there."""
    try:
        command = ["git", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip()
    except (OSError, subprocess.CalledProcessError):
        return None


class Stopwatch:
    """Wall seconds, CPU seconds and peak memory of one job in a process that runs many."""

    def __init__(self) -> None:
        _reset_peak_memory()
        self._wall = time.perf_counter()
        self._cpu = time.process_time()
        self._peak = 0.0

    def add(self, earlier: Mapping[str, float]) -> None:
        """Count in the reading of an interrupted run of the same job."""
        self._wall -= earlier["seconds"]
        self._cpu -= earlier["cpu_seconds"]
        self._peak = max(self._peak, earlier["peak_memory_mib"])

    def reading(self) -> dict[str, float]:
        """Seconds since the start, peak resident memory in MiB; interrupted runs included."""
        return {
            "seconds": round(time.perf_counter() - self._wall, 3),
            "cpu_seconds": round(time.process_time() - self._cpu, 3),
            "peak_memory_mib": round(max(self._peak, _peak_memory_mib()), 1),
        }


def _reset_peak_memory() -> None:
    """Linux keeps a resettable high-water mark; elsewhere the process's own peak stands in."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_memory_mib() -> float:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    unit = 1024 * 1024 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
