"""What part of a run's CPU seconds is spent inside stages, and where the rest goes; every artifact is made anew."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
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


def cpu_seconds(folder: Path, *arguments: str) -> float:
    """Of Snakemake and all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT / 'src'}", "STAGE_TIMES": str(folder / "times")}
    subprocess.run([SNAKEMAKE, *arguments], cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(experiment: str, cores: int) -> list[dict[str, Any]]:
    """CPU seconds by where they go, in a folder without results."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("config", "workflow"):
            shutil.copytree(ROOT / part, folder / part)
        (folder / "sitecustomize.py").write_text(TIMED)
        settings = ("--cores", str(cores), "--quiet", "all", "--config", f"experiment={experiment}", "complete=true")
        planning = cpu_seconds(folder, "--dry-run", *settings)
        total = cpu_seconds(folder, *settings)
        inside, last, jobs = 0.0, defaultdict[str, float](float), 0
        for line in (folder / "times").read_text().splitlines():
            worker, before, after = line.split()
            inside += float(after) - float(before)
            last[worker] = max(last[worker], float(after))
            jobs += 1
    parts = {
        f"inside the stages of {jobs} jobs": inside,
        f"in {len(last)} workers beside them: imports, specs, messages": sum(last.values()) - inside,
        "Snakemake's start and plan (a dry run)": planning,
        "Snakemake while jobs run": total - sum(last.values()) - planning,
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
    options = parser.parse_args()
    report(measure(options.experiment, options.cores), options.json)


if __name__ == "__main__":
    main()
