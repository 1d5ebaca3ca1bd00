"""Run `smoke` in several environments, of other Pythons or installers, and compare what they made, byte for byte.

    python scripts/compare_environments.py ENVIRONMENT ENVIRONMENT ...

An environment is a folder like .venv with the packages of requirements-workflow.lock; others are compared to the
first. Measured times, and what follows from them, differ between any two runs and are counted apart.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = ("experiment=smoke", "complete=true")
MAKINGS = {"environment", "images_per_second", "seal"}
"""Keys of a record that tell where, when and how fast it was made, and the sum over them."""
UNLIKE = ("results/logs/", "results/scratch/", "results/specs/", "results/.lock", "results/measured/cost/")
"""What is no artifact, and the measured times."""
TIMED = ("table5", "index.html", "paper.", "comparison.md", "audit.md", "report.")
"""Beginnings of the names of documents that print measured times or the versions of packages."""


def made_by(environment: Path, folder: Path) -> dict[str, bytes]:
    """Path -> bytes of everything that a run in a new folder makes, without what tells of its making."""
    for part in ("config", "workflow"):
        shutil.copytree(ROOT / part, folder / part)
    tools = (environment / "bin").resolve()
    surroundings = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}
    command = [str(tools / "snakemake"), "--cores", "all", "--quiet", "all", "--config", *SETTINGS]
    subprocess.run(command, cwd=folder, env=surroundings, check=True)
    files = [path for part in ("results", "paper_tables") for path in (folder / part).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): _content(path) for path in sorted(files)}


def _content(path: Path) -> bytes:
    if path.suffix != ".json":
        return path.read_bytes()
    return json.dumps(json.loads(path.read_text("utf-8"), object_hook=_without_makings)).encode()


def _without_makings(mapping: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in MAKINGS}


def compared(name: str, made: dict[str, bytes], reference: dict[str, bytes]) -> list[str]:
    """The files that should be the same and are not; prints how many of them and of the timed ones are."""
    files = [file for file in sorted(made | reference) if not file.startswith(UNLIKE)]
    timed = [file for file in files if Path(file).name.startswith(TIMED)]
    other = [file for file in files if file not in timed and made.get(file) != reference.get(file)]
    like = sum(made.get(file) == reference.get(file) for file in timed)
    print(f"{name}: {len(files) - len(timed) - len(other)} of {len(files) - len(timed)} files the same", end="; ")
    print(f"{like} of {len(timed)} with measured times in them")
    return other


def main(environments: list[str]) -> int:
    """The exit status: 1 if a file differs."""
    if len(environments) < 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        runs = {name: made_by(Path(name), Path(folder, str(n))) for n, name in enumerate(environments)}
    reference, *others = runs.values()
    different = [
        file for name, made in zip(environments[1:], others, strict=True) for file in compared(name, made, reference)
    ]
    print(*different, sep="\n")
    return int(bool(different))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
