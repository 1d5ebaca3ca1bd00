"""How long Snakemake plans: the whole paper with nothing there, one table, one finished experiment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report import arguments, report

SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
CASES = {
    "whole paper": ["experiment=paper"],
    "Table II of the paper": ["experiment=paper"],
    "demo": ["experiment=demo"],
}
TARGETS = {"Table II of the paper": ["paper_tables/paper/table2.tex"]}


def dry_run(folder: Path, case: str) -> dict[str, Any]:
    """Wall seconds, peak memory and jobs of one dry run."""
    command = [SNAKEMAKE, *TARGETS.get(case, []), "-n", "--quiet", "rules", "reason", "--config", *CASES[case]]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, output
    jobs = next(line.split()[1] for line in output.splitlines() if line.startswith("total"))
    return {
        "dry run": case,
        "jobs": int(jobs),
        "seconds": round(time.perf_counter() - start, 1),
        "cpu seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak MiB": round(usage.ru_maxrss / 1024),
    }


def main() -> None:
    """Plan in a copy of the project that has no results."""
    options = arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for part in ("config", "workflow"):
            shutil.copytree(part, Path(folder) / part)
        report([dry_run(Path(folder), case) for case in CASES], options.json)


if __name__ == "__main__":
    main()
