"""Publishing and pulling: the round trip of a finished experiment, and the bookkeeping at the size of the paper.

The round trip takes what the folder holds of an experiment, if it holds its artifacts: publish to a remote in a folder,
clone, pull what all cells of a table are made from, build the table. At the size of the paper, artifacts are tiny files
under the plan's names and recipes, so that what is timed is everything but the transfer.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from invented import invent
from report import arguments, report
from trigger_activation.config import load_config
from trigger_activation.plan import build_plan
from trigger_activation.sharing import dvc

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
SHIPPED = ("config", "workflow", ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore")
SUFFIXES = {".npz", ".safetensors", ".json"}
TABLE = "paper_tables/{experiment}/table2.tex"


def run(folder: Path, *command: str) -> float:
    """Wall seconds of a command that must succeed."""
    start = time.perf_counter()
    program = [str(BIN / command[0]) if (BIN / command[0]).exists() else command[0], *command[1:]]
    subprocess.run(program, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return round(time.perf_counter() - start, 1)


def commit(folder: Path, *paths: str) -> None:
    """Commit some paths."""
    run(folder, "git", "add", "--force", *paths)
    run(folder, "git", "-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "--quiet", "-m", "Benchmark")


@contextmanager
def repository() -> Iterator[Path]:
    """A new repository of the workflow, with a remote in a folder beside it."""
    with tempfile.TemporaryDirectory() as parent:
        folder, remote = Path(parent) / "origin", Path(parent) / "remote"
        remote.mkdir()
        for name in SHIPPED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / name, folder / name)
        run(folder, "git", "init", "--quiet")
        run(folder, "dvc", "remote", "add", "--quiet", "--default", "store", str(remote))
        run(folder, "dvc", "remote", "modify", "--quiet", "store", "verify", "true")
        commit(folder, ".")
        yield folder


def heavy_files(folder: Path) -> list[Path]:
    """What DVC keeps of a folder's results."""
    places = (folder / "results" / name for name in dvc.CLASSES)
    return [path for place in places for path in place.rglob("*") if path.suffix in SUFFIXES]


def measure(what: str, folder: Path, experiment: str) -> dict[str, Any]:
    """Publish, publish again, clone, pull what Table II is made from, pull again."""
    table = TABLE.format(experiment=experiment)
    kept = heavy_files(folder)
    publish = run(folder, "trigact", "publish", experiment)
    commit(folder, "results/*/*.dvc", "results/*/.gitignore")
    again = run(folder, "trigact", "publish", experiment)
    clone = folder.with_name("clone")
    run(folder, "git", "clone", "--quiet", ".", str(clone))
    shutil.rmtree(clone / "results/cells", ignore_errors=True)
    pull = run(clone, "trigact", "pull", table)
    return {
        "what": what,
        "files": len(kept),
        "MiB": round(sum(path.stat().st_size for path in kept) / 2**20, 1),
        "publish s": publish,
        "again s": again,
        "files pulled": len(heavy_files(clone)),
        "pull s": pull,
        "pull again s": run(clone, "trigact", "pull", table),
    }


def plan_seconds(folder: Path, experiment: str, *targets: str) -> float:
    """Wall seconds of a dry run."""
    return run(folder, "snakemake", *targets, "--dry-run", "--quiet", "all", "--config", f"experiment={experiment}")


def round_trip(experiment: str) -> dict[str, Any]:
    """Of an experiment whose artifacts are here."""
    with repository() as folder:
        for name in (*dvc.CLASSES, "cells"):
            if (ROOT / "results" / name).exists():
                shutil.copytree(ROOT / "results" / name, folder / "results" / name)
        commit(folder, "results/cells")
        measured = measure(f"{experiment}, as it is", folder, experiment)
        clone, table = folder.with_name("clone"), TABLE.format(experiment=experiment)
        run(clone, "git", "checkout", "--quiet", "--", "results/cells")
        return {**measured, "table s": run(clone, "snakemake", table, "--cores", "2", "--quiet", "all")}


def simulation() -> dict[str, Any]:
    """Of the paper, with nothing in the files; where everything is there, and where one table's artifacts are."""
    with repository() as folder:
        plan = build_plan(load_config(ROOT / "config"))
        artifacts = [artifact for artifact in plan.of_experiment("paper") if artifact.path.startswith("results/")]
        with chdir(folder):
            invent(artifacts)
        measured = measure(f"paper, {len(artifacts)} tiny artifacts", folder, "paper")
        return {
            **measured,
            "plan all s": plan_seconds(folder, "paper"),
            "plan table s": plan_seconds(folder.with_name("clone"), "paper", TABLE.format(experiment="paper")),
        }


def main() -> None:
    """The experiment that is here, if any, and the paper in tiny files."""
    parser = arguments(__doc__)
    parser.add_argument("--experiment", default="demo", help="a finished experiment with its artifacts in results/")
    options = parser.parse_args()
    rows = []
    if heavy_files(ROOT):
        rows.append(round_trip(options.experiment))
    else:
        print(f"No artifacts of {options.experiment} are here: no round trip of it.", file=sys.stderr)
    report([*rows, simulation()], options.json)


if __name__ == "__main__":
    main()
