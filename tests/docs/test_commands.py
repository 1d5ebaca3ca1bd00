"""Every command in README and docs works: it is run in a clone, or tried without effect, or a row here says why not."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.projects import ROOT
from tests.support.smoke_project import BIN

pytestmark = pytest.mark.workflow
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "config/README.md", *(ROOT / "docs").glob("*.md")]
CELL, TABLE = "results/cells/fashion16/standard/pgd/at.json", "paper_tables/demo/table2.tex"
READERS = {
    r"results/cells/\.\.\.|(?<=-f )FILE": CELL,
    r"PATH$|FILE( \.\.\.)?$|TARGET|paper_tables/mine/mine\.tex|(?<=trigact explain)$": f" {TABLE}",
    r"EXPERIMENT|(?<!--profile )\bmine$": "demo",
    r"\{train,test\}\.npz": "train.npz",
    r"diff main": "diff HEAD",
    r"(?<=--at )\w+": "HEAD",
    r"remote modify store": "remote modify repository",
    r"PYTHON=\S+": "env",
    r"s3://bucket/folder": "/a/folder",
    r"NAME URL$": "named /a/folder",
    r"<repository> <its path>": "REPOSITORY PLACE",
}
"""What a document leaves to its reader -> what stands there in this test."""
UNTRIED = {
    "services and programs of other machines": r"(apptainer|podman|sbatch|curl|tmux|pip|git)\b",
    "targets, since it shows what is refused (test_habits tries that)": r"snakemake cell$",
    "the reader's own files and editor": r"(ln|ls|mkdir|export|printf|chmod|sha256sum|source|\$EDITOR)\b",
}
"""What commands need that no test has -> how they begin."""
EFFECTLESS = {
    r"make ": "--dry-run",
    r"snakemake ": "--dry-run",
    # Tests of their own run these: test_publishing, test_sharing, test_pulling, test_own_models, test_offline.
    r"trigact (publish|pull|evaluate|leaderboard|card|compare)": "--help",
    r"dvc (pull|gc|get|artifacts get|import|remote add$)": "--help",
    r"python |scripts/full_size_on_gpu\.sh": "--help",
}
"""How a command begins -> the option with which it is tried."""
RUN = r"trigact |dvc (remote (add|modify) |metrics |params |plots )"


def commands() -> Iterator[str]:
    """All commands of all pages: in blocks, and between backticks in running text."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        fence = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
        shells = "\n".join(block for language, block in fence.findall(text) if language in ("", "sh"))
        prose = fence.sub("", text)
        lines = [*shells.splitlines(), *re.findall(r"^ {4}(\S.*)$", prose, re.MULTILINE)]
        spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
        for line in [*lines, *(span for span in spans if " " in span)]:
            told = re.sub(r"^timeout \S+ |\s+#.*", "", line)
            yield from (part.strip() for part in told.split(" && "))


def is_command(words: str) -> bool:
    """Whether it begins with a program, and is no line of Python or of a tree of folders."""
    return any(re.match(pattern, words) for pattern in (*UNTRIED.values(), *EFFECTLESS, RUN))


COMMANDS = sorted({words for words in commands() if is_command(words)})
TRIED = [words for words in COMMANDS if not any(re.match(pattern, words) for pattern in UNTRIED.values())]


def as_tried(words: str) -> list[str]:
    """A command with what its reader would fill in, and the option that keeps it from doing anything."""
    for placeholder, filled in READERS.items():
        words = re.sub(placeholder, filled, words)
    option = next((option for pattern, option in EFFECTLESS.items() if re.match(pattern, words)), None)
    return [*shlex.split(words), *([option] if option and option not in words else [])]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone, where a reader has a profile of a cluster of their own."""
    folder = tmp_path_factory.mktemp("clone") / "trigger-activation"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    profile = folder.parent / ".config/snakemake/mine/config.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("default-resources:\n  slurm_partition: main\n", encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def at_home(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader's folder of profiles, and the environment on the path, as after `source .venv/bin/activate`."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(clone.parent / ".config"))
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize("command", sorted({shlex.join(as_tried(words)) for words in TRIED}))
def test_a_documented_command_works(command: str, clone: Path) -> None:
    streams = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    result = subprocess.run(shlex.split(command), cwd=clone, timeout=300, check=False, **streams)
    assert result.returncode == 0, result.stdout


def test_rows_stand_for_commands() -> None:
    """No row of this test is left over from a document that changed."""
    assert len(TRIED) > 60
    for pattern in (*READERS, *UNTRIED.values(), *EFFECTLESS, RUN):
        alternatives = [pattern] if "(?<" in pattern else re.split(r"\|(?![^(]*\))", pattern)
        for each in alternatives:
            assert any(re.search(each, words) for words in COMMANDS), each


def test_programs_are_those_of_the_environment() -> None:
    """What is tried is this project's installation."""
    for program in ("snakemake", "trigact", "dvc"):
        assert shutil.which(program) == str(BIN / program)
