"""How long Snakemake plans: the whole paper and one table, with nothing there and with everything there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import chdir
from pathlib import Path
from typing import Any

from benchmarks.invented import invent, sparse
from benchmarks.report import arguments, report
from trigger_activation.plan import build_plan
from trigger_activation.plan.config import load_config
from trigger_activation.plan.costs import CostModel

SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
EXPERIMENTS = {"whole paper": "paper", "Table II of the paper": "paper", "demo": "demo"}
TARGETS = {"Table II of the paper": ["paper_tables/paper/table2.tex"]}


def dry_run(folder: Path, case: str, there: str) -> dict[str, Any]:
    """Wall seconds, peak memory and jobs of one dry run."""
    settings = ["--config", f"experiment={EXPERIMENTS[case]}"]
    command = [SNAKEMAKE, *TARGETS.get(case, []), "-n", "--quiet", "rules", "reason", *settings]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, output
    jobs = [line.split()[1] for line in output.splitlines() if line.startswith("total")]
    return {
        "dry run": case,
        "there": there,
        "jobs": int(jobs[0]) if jobs else 0,
        "seconds": round(time.perf_counter() - start, 1),
        "cpu seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak MiB": round(usage.ru_maxrss / 1024),
    }


def main() -> None:
    """Plan in a copy of the project: without results, then with artifacts of the true sizes, as sparse files."""
    options = arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for part in ("config", "workflow"):
            shutil.copytree(part, Path(folder) / part)
        rows = [dry_run(Path(folder), case, "nothing") for case in EXPERIMENTS]
        with chdir(folder):
            config = load_config(Path("config"))
            plan = build_plan(config)
            targets = [path for experiment in ("paper", "demo") for path in plan.targets[experiment].values()]
            invent(plan.upstream(targets), sparse(CostModel(config, plan).bytes))
        rows += [dry_run(Path(folder), case, "everything") for case in EXPERIMENTS]
    report(rows, options.json)


if __name__ == "__main__":
    main()
