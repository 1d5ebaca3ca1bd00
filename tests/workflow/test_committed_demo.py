"""The committed tables and the page of the demo are what its committed cells render to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from smoke_project import ROOT, Project, new_project

pytestmark = pytest.mark.workflow

DEMO = Path("paper_tables/demo")
TEXTS = (".tex", ".csv", ".md", ".html", ".yaml")
TARGETS = [str(DEMO / name) for name in ("index.html", "comparison.md", "audit.md", "metrics.yaml")]
"""The page shows all tables and figures, so they are rendered too."""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the committed cells, the account of the run that made them, and what both render to."""
    project = new_project(tmp_path_factory.mktemp("demo") / "project")
    shutil.copytree(ROOT / "results/cells", project.folder / "results/cells")
    (project.folder / DEMO).mkdir(parents=True)
    shutil.copy(ROOT / DEMO / "run.json", project.folder / DEMO)
    result = project.execute(project.command(*TARGETS, settings=("experiment=demo",)))
    assert result.returncode == 0, result.stdout
    return project


@pytest.mark.parametrize("suffix", TEXTS)
def test_texts_have_the_committed_bytes(rendered: Project, suffix: str) -> None:
    committed = {path.name: path.read_bytes() for path in (ROOT / DEMO).glob(f"*{suffix}")}
    found = {path.name: path.read_bytes() for path in (rendered.folder / DEMO).glob(f"*{suffix}")}
    assert committed.keys() == found.keys()
    assert [name for name, content in committed.items() if found[name] != content] == []
