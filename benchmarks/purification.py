"""What a purified column costs with 1, 2 and 5 victims of a network: purification once, then an evaluation of each."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.report import arguments, report
from trigger_activation.store.records import read_record

ROOT = Path(__file__).parents[1]
SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
CELL = "results/cells/smoke/standard/pgd/{column}.json"
PREDICTIONS = "results/predictions/smoke/standard/pgd/{column}.npz"
PURIFIED = "results/purified/smoke/{network}__standard/seed0/pgd__{column}.npz"
NETWORKS = ("vgg-s", "resnet18-xs")
IMAGES = 1000


def build_column(folder: Path, column: str, victims: int) -> dict[str, Any]:
    """One cell of two networks' victims of so many seeds, and what its sidecars tell."""
    for part in ("config", "workflow"):
        shutil.copytree(ROOT / part, folder / part)
    protocol = folder / "config/protocols/smoke.yaml"
    settings = yaml.safe_load(protocol.read_text())
    settings["seeds"] = {"default": 1, "paradigms": {"standard": victims}}
    settings["evaluation"] = {"images": IMAGES, "batch_size": 500}
    protocol.write_text(yaml.safe_dump(settings))
    command = [SNAKEMAKE, CELL.format(column=column), "--cores", "2", "--quiet", "all", "--config", "experiment=smoke"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return {
        "column": column,
        "victims of each network": victims,
        "purified sets": len(list((folder / "results/purified").rglob("*.npz"))),
        "purification CPU-s": sum(seconds_of(folder, PURIFIED.format(network=n, column=column)) for n in NETWORKS),
        "cell CPU-s": seconds_of(folder, PREDICTIONS.format(column=column)),
    }


def seconds_of(folder: Path, path: str) -> float:
    """CPU seconds of the job that made a file."""
    record = read_record(str(folder / path))
    assert record is not None
    assert record.environment is not None
    return round(record.environment.cpu_seconds, 2)


def main() -> None:
    """Each column in a fresh project for each number of victims."""
    options = arguments(__doc__).parse_args()
    rows = []
    for column in ("nrp", "diffpure"):
        for victims in (1, 2, 5):
            with tempfile.TemporaryDirectory() as folder:
                rows.append(build_column(Path(folder), column, victims))
    report(rows, options.json)


if __name__ == "__main__":
    main()
