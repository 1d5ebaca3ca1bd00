"""What jobs cost beside their work: a trivial one; the main process while long ones run; and the end of a run."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report import arguments, report

JOBS = 200
FINISHED = (10, 1400)
WATCHED = 10.0
"""Seconds of the long jobs over which the main process is watched."""
SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
PROFILE = Path(__file__).parents[1] / "workflow/profiles/default"
LIMITS = {"Snakemake's default": ("--max-jobs-per-timespan", "100/1s"), "ours": ()}
ENDS = ("success", "failure", "SIGINT", "SIGTERM")
SNAKEFILE = """
import os, time
from pathlib import Path
from trigger_activation.run.ending import watch
from trigger_activation.run.worker import call, stop_workers

DONE = expand("done/{number}", number=range(config["jobs"]))

rule all:
    input: DONE, expand("long/{number}", number=range(2)), expand("waiting/{number}", number=range(20))

rule trivial:
    output: touch("done/{number}")
    priority: 2
    run: call(workflow.cores, os.getpid)

rule trivial_ones:
    input: DONE

rule long:
    output: touch("long/{number}")
    priority: 1
    run:
        Path("started").touch()
        call(workflow.cores, time.sleep, config["seconds"])
        Path("ended").touch()
        assert config["end"] != "failure"

rule waiting:
    output: touch("waiting/{number}")
    run: Path("ended").touch()

onstart: watch()
onsuccess: stop_workers()
onerror: stop_workers()
"""


class Run:
    """A workflow on two cores, in a folder of its own."""

    def __init__(self, folder: Path, target: str, *options: str, **config: Any) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "Snakefile").write_text(SNAKEFILE)
        settings = [f"{name}={value}" for name, value in {"seconds": 0, "end": "success", **config}.items()]
        fixed = ["--cores", "2", "--quiet", "all", "--workflow-profile", str(PROFILE)]
        self.process = subprocess.Popen(
            [SNAKEMAKE, target, *fixed, *options, "--config", *settings],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait_for(self, file: str) -> None:
        """Until a job has written a file."""
        while not (self.folder / file).exists():
            assert self.process.poll() is None, f"the run in {self.folder} ended before it wrote {file}"
            time.sleep(0.1)

    def ended(self) -> float:
        """When it had ended."""
        self.process.wait()
        return time.time()

    def seconds_to_the_end(self) -> float:
        """From the end of its last job to its own."""
        ended = self.ended()
        return round(ended - (self.folder / "ended").stat().st_mtime, 1)

    def seconds_after(self, number: signal.Signals) -> float:
        """From a signal to its main process to its end."""
        start = time.time()
        self.process.send_signal(number)
        return round(self.ended() - start, 1)


def trivial_seconds(folder: Path, jobs: int) -> float:
    """Of a run of so many trivial jobs."""
    start = time.time()
    return Run(folder, "trivial_ones", jobs=jobs).ended() - start


def cost_of_a_job(folder: Path) -> list[dict[str, Any]]:
    """A trivial job through warm workers, and with a new Python that imports torch."""
    base, total = trivial_seconds(folder / "one", 1), trivial_seconds(folder / "many", JOBS)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch, torchvision"], check=True)
    fresh = time.perf_counter() - start
    each = (total - base) / (JOBS - 1)
    return [
        {"jobs": "in warm workers", "seconds each": round(each, 3), "start of the run": round(base, 1)},
        {"jobs": "with a process and imports each", "seconds each": round(fresh, 3), "start of the run": 0.0},
    ]


def share(folder: Path, limit: str, jobs: int) -> dict[str, Any]:
    """What the main process takes of a core while long jobs run and others wait, after so many have finished."""
    run = Run(folder / f"{limit}-{jobs}", "all", *LIMITS[limit], jobs=jobs, seconds=WATCHED + 2)
    run.wait_for("started")
    time.sleep(1)
    main = psutil.Process(run.process.pid)
    before, threads = sum(main.cpu_times()[:2]), main.num_threads()
    time.sleep(WATCHED)
    taken = sum(main.cpu_times()[:2]) - before
    return {
        "limiter": limit,
        "jobs finished": jobs,
        "% of a core": round(100 * taken / WATCHED, 1),
        "threads": threads,
        "seconds to the end": run.seconds_to_the_end(),
    }


def end(folder: Path, how: str) -> dict[str, Any]:
    """Seconds from the last job's end, or from a signal, to that of the run."""
    number = signal.Signals.__members__.get(how)
    run = Run(folder / how, "all", jobs=FINISHED[0], seconds=600 if number else 1, end=how)
    run.wait_for("started")
    seconds = run.seconds_after(number) if number else run.seconds_to_the_end()
    return {"end of a run": how, "seconds": seconds, "exit status": run.process.returncode}


def main() -> None:
    """Measure; runs that are watched for what they do not do run in pairs."""
    options = arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(2) as pairs:
        folder = Path(scratch)
        rows = cost_of_a_job(folder)
        cases = [(limit, jobs) for jobs in FINISHED for limit in LIMITS]
        rows += pairs.map(lambda case: share(folder, *case), cases)
        rows += pairs.map(lambda how: end(folder, how), ENDS)
    report(rows, options.json)


if __name__ == "__main__":
    main()
