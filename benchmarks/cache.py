"""Publishing and pulling: the round trip of a finished experiment, and the bookkeeping at the size of the paper.

The round trip takes what the folder holds of an experiment: publish to a remote in a folder, clone, pull what all cells
of a table are made from, build the table. At the size of the paper, artifacts are tiny files under the plan's names and
recipes, so that what is timed is everything but the transfer.
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


def measure(what: str, folder: Path, experiment: str) -> dict[str, Any]:
    """Publish, clone, pull what Table II is made from; then plan that table, or build it if its cells are in git."""
    table = TABLE.format(experiment=experiment)
    kept = [path for name in dvc.CLASSES for path in (folder / "results" / name).rglob("*") if path.is_file()]
    publish = run(folder, "trigact", "publish", experiment)
    commit(folder, "results/*/*.dvc", "results/*/.gitignore")
    again = run(folder, "trigact", "publish", experiment)
    clone = folder.with_name("clone")
    run(folder, "git", "clone", "--quiet", ".", str(clone))
    has_cells = (clone / "results/cells").exists()
    shutil.rmtree(clone / "results/cells", ignore_errors=True)
    pull = run(clone, "trigact", "pull", table)
    arrived = [path for name in dvc.CLASSES for path in (clone / "results" / name).rglob("*") if path.is_file()]
    if has_cells:
        run(clone, "git", "checkout", "--quiet", "--", "results/cells")
    build = run(clone, "snakemake", table, "--cores", "2", *(() if has_cells else ("--dry-run",)), "--quiet", "all")
    return {
        "what": what,
        "files": len(kept),
        "MiB": round(sum(path.stat().st_size for path in kept) / 2**20, 1),
        "publish s": publish,
        "again s": again,
        "pull s": pull,
        "files pulled": len(arrived),
        "plan s" if not has_cells else "table s": build,
    }


def main() -> None:
    """The experiment that is here, then the paper in tiny files."""
    parser = arguments(__doc__)
    parser.add_argument("--experiment", default="demo", help="a finished experiment with its artifacts in results/")
    options = parser.parse_args()
    rows = []
    with repository() as folder:
        for name in dvc.CLASSES:
            shutil.copytree(ROOT / "results" / name, folder / "results" / name)
        shutil.copytree(ROOT / "results/cells", folder / "results/cells")
        commit(folder, "results/cells")
        rows.append(measure(f"{options.experiment}, as it is", folder, options.experiment))
    with repository() as folder:
        plan = build_plan(load_config(ROOT / "config"))
        with chdir(folder):
            invent(artifact for artifact in plan.of_experiment("paper") if artifact.path.startswith("results/"))
        rows.append(measure("paper, tiny files", folder, "paper"))
    report(rows, options.json)


if __name__ == "__main__":
    main()
