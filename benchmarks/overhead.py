"""What part of a run's CPU seconds is spent inside stages, and where the rest goes; every artifact is made anew."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import arguments, report

ROOT = Path(__file__).parents[1]
SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
TIMED = """
import sys

if any("loky.backend.popen" in word for word in sys.orig_argv):
    import os, time
    from trigger_activation.run import job

    stage_of = job.stage_of

    def timed(kind):
        make = stage_of(kind)

        def stage(*arguments):
            before = time.process_time()
            make(*arguments)
            with open(os.environ["STAGE_TIMES"], "a") as log:
                print(os.getpid(), before, time.process_time(), file=log)

        return stage

    job.stage_of = timed
"""
"""Loaded by every Python of the run; in workers it notes each stage's CPU seconds since the worker's start."""


@dataclass(frozen=True)
class Spent:
    """What a call of Snakemake and all that it starts took."""

    cpu_seconds: float
    minutes: float


def spent(folder: Path, source: Path, *arguments: str) -> Spent:
    """Of a call in a folder, with the package of another one."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{source / 'src'}", "STAGE_TIMES": str(folder / "times")}
    subprocess.run([SNAKEMAKE, *arguments], cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(seconds, (time.perf_counter() - start) / 60)


def measure(experiment: str, cores: int, clone: Path | None) -> list[dict[str, Any]]:
    """CPU seconds by where they go, in a folder without results or in a clone, which keeps what was made."""
    if clone is not None:
        return _measured(clone.resolve(), clone.resolve(), experiment, cores)
    with tempfile.TemporaryDirectory() as name:
        for part in ("config", "workflow"):
            shutil.copytree(ROOT / part, Path(name) / part)
        return _measured(Path(name), ROOT, experiment, cores)


def _measured(folder: Path, source: Path, experiment: str, cores: int) -> list[dict[str, Any]]:
    (folder / "sitecustomize.py").write_text(TIMED)
    settings = ("--cores", str(cores), "--quiet", "all", "--config", f"experiment={experiment}", "complete=true")
    planning = spent(folder, source, "--dry-run", *settings)
    whole = spent(folder, source, *settings)
    total = whole.cpu_seconds
    inside, last, jobs = 0.0, defaultdict[str, float](float), 0
    for line in (folder / "times").read_text().splitlines():
        worker, before, after = line.split()
        inside += float(after) - float(before)
        last[worker] = max(last[worker], float(after))
        jobs += 1
    parts = {
        f"inside the stages of {jobs} jobs": inside,
        f"in {len(last)} workers beside them: imports, specs, messages": sum(last.values()) - inside,
        "Snakemake's start and plan (a dry run)": planning.cpu_seconds,
        "Snakemake while jobs run": total - sum(last.values()) - planning.cpu_seconds,
        f"all, in {whole.minutes:.1f} minutes": total,
    }
    return [
        {"what": what, "CPU seconds": round(seconds, 1), "share": round(seconds / total, 3)}
        for what, seconds in parts.items()
    ]


def main() -> None:
    """One experiment."""
    parser = arguments(__doc__)
    parser.add_argument("--experiment", default="smoke", help="one of config/experiments (default: smoke)")
    parser.add_argument("--cores", type=int, default=2, help="as for Snakemake (default: 2)")
    parser.add_argument("--clone", type=Path, help="a clone to run in, which keeps what is made")
    options = parser.parse_args()
    report(measure(options.experiment, options.cores, options.clone), options.json)


if __name__ == "__main__":
    main()
