"""Publishing and pulling: the round trip of a finished experiment, and the bookkeeping at the size of the paper.

The round trip takes what the folder holds of an experiment, if it holds its artifacts: publish to a remote in a folder,
clone, pull what all cells of a table are made from, build the table. At the size of the paper, artifacts are tiny files
under the plan's names and recipes, so that what is timed is everything but the transfer.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.invented import invent
from benchmarks.report import arguments, report
from trigger_activation.plan import build_plan
from trigger_activation.plan.config import load_config
from trigger_activation.plan.kinds import SHARED

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
SHIPPED = ("config", "workflow", ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore")
SUFFIXES = {".npz", ".safetensors", ".json"}
TABLE = "paper_tables/{experiment}/table2.tex"


def run(folder: Path, *command: str) -> dict[str, float]:
    """Seconds of a command that must succeed: on the clock, and of all cores for it and what it starts."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    program = [str(BIN / command[0]) if (BIN / command[0]).exists() else command[0], *command[1:]]
    subprocess.run(program, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(time.perf_counter() - start, 1), "cpu seconds": round(cpu, 1)}


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
    places = (folder / "results" / name for name in SHARED)
    return [path for place in places for path in place.rglob("*") if path.suffix in SUFFIXES]


NOTHING = {"files": 0, "MiB": 0.0}


def extent(folder: Path) -> dict[str, float]:
    """Number and size of what DVC keeps of a folder's results."""
    sizes = [path.stat().st_size for path in heavy_files(folder)]
    return {"files": len(sizes), "MiB": round(sum(sizes) / 2**20, 1)}


def publish_and_pull(folder: Path, experiment: str) -> list[dict[str, Any]]:
    """Publish, publish again, clone, pull what Table II is made from, pull again."""
    table, clone = TABLE.format(experiment=experiment), folder.with_name("clone")
    kept = extent(folder)
    rows = [{"what": "publish", **kept, **run(folder, "trigact", "publish", experiment)}]
    commit(folder, "results/*/*.dvc", "results/*/.gitignore")
    rows.append({"what": "publish again", **kept, **run(folder, "trigact", "publish", experiment)})
    run(folder, "git", "clone", "--quiet", ".", str(clone))
    shutil.rmtree(clone / "results/cells", ignore_errors=True)
    pulled = run(clone, "trigact", "pull", table)
    rows.append({"what": "pull Table II", **extent(clone), **pulled})
    return [*rows, {"what": "pull it again", **NOTHING, **run(clone, "trigact", "pull", table)}]


def dry_run(folder: Path, experiment: str, *targets: str) -> dict[str, float]:
    """How long Snakemake plans."""
    return run(folder, "snakemake", *targets, "--dry-run", "--quiet", "all", "--config", f"experiment={experiment}")


def round_trip(experiment: str) -> list[dict[str, Any]]:
    """An experiment whose artifacts are here; at the end Table II is built from the cells in git."""
    with repository() as folder:
        for name in (*SHARED, "cells"):
            if (ROOT / "results" / name).exists():
                shutil.copytree(ROOT / "results" / name, folder / "results" / name)
        commit(folder, "results/cells")
        rows = publish_and_pull(folder, experiment)
        clone = folder.with_name("clone")
        run(clone, "git", "checkout", "--quiet", "--", "results/cells")
        built = run(clone, "snakemake", TABLE.format(experiment=experiment), "--cores", "2", "--quiet", "all")
        return [{"of": experiment, **row} for row in [*rows, {"what": "build it", **NOTHING, **built}]]


def simulation() -> list[dict[str, Any]]:
    """The paper with nothing in its files; at the end it is planned where all is there, and where one table is."""
    with repository() as folder:
        plan = build_plan(load_config(ROOT / "config"))
        artifacts = [artifact for artifact in plan.of_experiment("paper") if artifact.path.startswith("results/")]
        with chdir(folder):
            invent(artifacts)
        rows = publish_and_pull(folder, "paper")
        everything = {"what": "plan, all there", **extent(folder), **dry_run(folder, "paper")}
        planned = dry_run(folder.with_name("clone"), "paper", TABLE.format(experiment="paper"))
        table = {"what": "plan Table II after the pull", **extent(folder.with_name("clone")), **planned}
        return [{"of": f"paper, {len(artifacts)} tiny artifacts", **row} for row in [*rows, everything, table]]


def main() -> None:
    """The experiment that is here, if any, and the paper in tiny files."""
    parser = arguments(__doc__)
    parser.add_argument("--experiment", default="demo", help="a finished experiment with its artifacts in results/")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if heavy_files(ROOT):
        rows = round_trip(options.experiment)
    else:
        print(f"No artifacts of {options.experiment} are here: no round trip of it.", file=sys.stderr)
    report([*rows, *simulation()], options.json)


if __name__ == "__main__":
    main()
