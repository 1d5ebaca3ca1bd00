"""The committed tables and the page of the demo are what its committed cells render to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from docutils.core import publish_doctree

from smoke_project import ROOT, Project, new_project
from trigger_activation.workflow import Workflow

pytestmark = pytest.mark.workflow

DEMO = Path("paper_tables/demo")
TEXTS = (".tex", ".csv", ".md", ".html", ".yaml")
TARGETS = [str(DEMO / name) for name in ("index.html", "comparison.md", "audit.md", "metrics.yaml")]
"""The page shows all tables and figures, so they are rendered too."""


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / DEMO).glob("[ft]*.md")))
def test_captions_in_the_report_are_read_as_plain_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    caption = Workflow.caption("demo", name)
    document = publish_doctree(caption, settings_overrides={"halt_level": 1, "report_level": 1})
    (paragraph,) = document.children
    assert {type(child).__name__ for child in paragraph.children} == {"Text"}
    printed = (DEMO / f"{name}.md").read_text(encoding="utf-8").partition("\n")[0].replace("**", "").replace("\\", "")
    assert paragraph.astext() == printed


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
