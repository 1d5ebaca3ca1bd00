"""What a trivial job costs: through warm workers, and with a new Python that imports torch for each."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import arguments, report

JOBS = 200
SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
SNAKEFILE = """
import os
from trigger_activation.run.worker import call, stop_workers

rule all:
    input: expand("done/{{number}}", number=range({jobs}))

rule trivial:
    output: touch("done/{{number}}")
    run:
        call(workflow.cores, os.getpid)

onsuccess:
    stop_workers()
"""


def run_jobs(jobs: int) -> float:
    """Seconds for a workflow of so many trivial jobs on two cores."""
    profile = Path("workflow/profiles/default").resolve()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Snakefile").write_text(SNAKEFILE.format(jobs=jobs))
        command = [SNAKEMAKE, "--cores", "2", "--quiet", "all", "--workflow-profile", str(profile)]
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - start


def main() -> None:
    """Compare the two ways in one run."""
    options = arguments(__doc__).parse_args()
    base, total = run_jobs(1), run_jobs(JOBS)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch, torchvision"], check=True)
    fresh = time.perf_counter() - start
    each = (total - base) / (JOBS - 1)
    rows: list[dict[str, Any]] = [
        {"jobs": "in warm workers", "seconds each": round(each, 3), "start of the run": round(base, 1)},
        {"jobs": "with a process and imports each", "seconds each": round(fresh, 3), "start of the run": 0.0},
    ]
    report(rows, options.json)


if __name__ == "__main__":
    main()
