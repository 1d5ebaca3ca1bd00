"""A folder with the workflow in it, and what tests do to it."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from trigger_activation.plan import Plan
from trigger_activation.report.pdf.latex import engine_is_there
from trigger_activation.run.spec import write_spec
from trigger_activation.run.worker import perform

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
UNSHARE = ("unshare", "--map-root-user", "--mount")
QUIET = ("--quiet", "rules", "reason", "host", "progress")


@dataclass(frozen=True)
class Project:
    """A folder with the workflow and its config."""

    folder: Path

    def command(self, *arguments: str, settings: tuple[str, ...] = ("experiment=smoke",), cores: int = 2) -> list[str]:
        """A Snakemake call; targets go first."""
        return [str(BIN / "snakemake"), *arguments, "--cores", str(cores), "--config", *settings]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake to its end, its output in one string."""
        return self.execute(self.command(*arguments, *QUIET))

    def execute(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run any command here."""
        return subprocess.run(
            command,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=600,
            check=False,
        )

    def copy_to(self, folder: Path) -> Project:
        """A copy without Snakemake's own records."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns(".snakemake"))
        return Project(folder)

    def trigact(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line tool."""
        return self.execute([str(BIN / "trigact"), *arguments])

    def planned(self, *arguments: str, settings: tuple[str, ...] = ("experiment=smoke",)) -> dict[str, int]:
        """Jobs per rule of a dry run."""
        result = self.execute(self.command(*arguments, "--dry-run", "--quiet", "rules", "reason", settings=settings))
        assert result.returncode == 0, result.stdout
        table = re.search(r"^-+ +-+\n(.*?)^total", result.stdout, re.MULTILINE | re.DOTALL)
        rows = (line.split() for line in table[1].splitlines()) if table else ()
        return {rule: int(count) for rule, count in rows if rule != "all"}

    def planned_outputs(self) -> set[str]:
        """First outputs of all jobs of a dry run."""
        result = self.execute(self.command("--dry-run"))
        return {line.split()[1].rstrip(",") for line in result.stdout.splitlines() if line.startswith("    output:")}

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in a file, which must be there."""
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def files(self) -> set[str]:
        """Every file outside Snakemake's own folder."""
        files = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return {str(path) for path in files if ".snakemake" not in path.parts}

    def snapshot(self) -> dict[str, tuple[int, int]]:
        """Size and modification time of every file outside Snakemake's own folder."""
        states = {file: (self.folder / file).stat() for file in self.files()}
        return {file: (state.st_size, state.st_mtime_ns) for file, state in states.items()}

    def contents(self, *folders: str) -> dict[str, bytes]:
        """The bytes of all files below some folders."""
        files = (path for folder in folders for path in (self.folder / folder).rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


def make(plan: Plan, path: str) -> None:
    """Run one stage in this process."""
    artifact = plan[path]
    perform(str(write_spec(plan, artifact)), artifact.recipe, "stage.log")


def is_made_here(kind: str) -> bool:
    """Whether a run on this machine makes artifacts of a kind: it leaves the PDF out where LaTeX is absent."""
    return kind != "pdf" or engine_is_there()


PDF = {"pdf": 1} if is_made_here("pdf") else {}
"""Of the jobs per rule, those that make an experiment's PDF."""


def new_project(folder: Path) -> Project:
    """The workflow and its config, nothing made yet."""
    for part in ("config", "workflow"):
        shutil.copytree(ROOT / part, folder / part)
    return Project(folder)


def processes_in(folder: Path) -> list[psutil.Process]:
    """Everything that runs with this as its working folder."""
    return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(folder)]


def scramble_times(project: Project, seed: int) -> None:
    """Give every artifact a random time, some of them in the future."""
    generator = random.Random(seed)
    for path in sorted([*project.folder.glob("results/**/*"), *project.folder.glob("paper_tables/**/*")]):
        if path.is_file():
            time = path.stat().st_mtime + generator.uniform(-1e6, 1e5)
            os.utime(path, (time, time))


def can_mount() -> bool:
    """Whether this system lets its users mount small disks for their own processes."""
    if shutil.which(UNSHARE[0]) is None:
        return False
    command = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
