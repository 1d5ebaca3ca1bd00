"""What a job costs beside its work on SLURM: from Snakemake's start to its end, on a cluster of one node started here.

Needs Debian's slurmctld, slurmd, slurm-client and munge.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.cluster.one_node import OneNode

from benchmarks.report import arguments, report

COUNT = 20
SNAKEFILE = """\
rule all:
    input: expand("{number}.txt", number=range(int(config["count"])))

rule trivial:
    output: "{number}.txt"
    resources: runtime=5, mem_mb=200
    shell: "touch {output}"
"""
SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
SLURM = [
    *("--executor", "slurm", "--jobs", str(COUNT), "--default-resources", "slurm_partition=main"),
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5"),
]
# One core, since a group asks for the sum of what may run at a time: 20 of them would wait for 20 for ever.
GROUPED = ["--groups", "trivial=together", "--group-components", f"together={COUNT}", "--cores", "1"]
CASES: dict[str, tuple[int, list[str]]] = {
    "Snakemake without SLURM": (1, ["--cores", "1"]),
    "one job": (1, SLURM),
    f"{COUNT} jobs": (COUNT, SLURM),
    f"{COUNT} jobs in a group": (COUNT, [*SLURM, *GROUPED]),
}


def seconds(node: OneNode, folder: Path, command: list[str]) -> float:
    """Wall time of a command that has to succeed."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=node.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return round(time.perf_counter() - start, 1)


def snakemake_seconds(node: OneNode, folder: Path, count: int, options: list[str]) -> float:
    """Wall time of a run in a fresh folder."""
    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE)
    return seconds(node, folder, [SNAKEMAKE, *options, "--config", f"count={count}"])


def main() -> None:
    """Start the cluster, measure, stop it."""
    options = arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        node = OneNode(Path(scratch) / "cluster")
        node.folder.mkdir()
        rows: list[dict[str, Any]] = []
        try:
            node.start()
            rows.append({"run": "sbatch --wait alone", "jobs": 1})
            rows[0]["seconds"] = seconds(node, node.folder, ["sbatch", "--wait", "--wrap", "true"])
            for number, (case, (count, arguments_)) in enumerate(CASES.items()):
                took = snakemake_seconds(node, Path(scratch) / str(number), count, arguments_)
                rows.append({"run": case, "jobs": count, "seconds": took})
        finally:
            node.stop()
    report(rows, options.json)


if __name__ == "__main__":
    main()
