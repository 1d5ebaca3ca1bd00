"""Run `smoke` in several environments, of other Pythons or installers, and compare what they made, byte for byte.

    python scripts/compare_environments.py ENVIRONMENT ENVIRONMENT ...

An environment is a folder like .venv with the packages of requirements-workflow.lock; others are compared to the
first. Measured times, and what follows from them, differ between any two runs.
"""

from __future__ import annotations

import json
import os
import re
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
NO_ARTIFACT = re.compile(r"results/(logs|scratch|specs|\.lock)")
TIMED = re.compile(r"measured/cost/|/(table5|table6|index|paper|comparison|audit|report|metrics|run)\.")
"""Cells of measured times, and what prints or counts them."""


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
    """The files that should be the same and are not; prints how many are."""
    files = [file for file in sorted(made | reference) if not NO_ARTIFACT.match(file)]
    different = [file for file in files if made.get(file) != reference.get(file)]
    unexpected = [file for file in different if not TIMED.search(file)]
    print(f"{name}: {len(files) - len(different)} of {len(files)} files the same; the others", end=" ")
    print("tell measured times" if not unexpected else f"are {len(different)}, among them:")
    return unexpected


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
