"""The committed tables and pages are what the committed cells render to.

Texts have the same bytes on every kind of processor: their numbers are rounded to a few digits. Drawings in pages look
the same on all, but their coordinates also depend on how a kind of processor rounds.
"""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from docutils.core import publish_doctree
from numpy.typing import NDArray
from PIL import Image
from tests.support.smoke_project import ROOT, new_project

from trigger_activation.run.workflow import Workflow

pytestmark = pytest.mark.workflow

DEMO = Path("paper_tables/demo")
PICTURE = re.compile(rb"iVBORw0KGgo[A-Za-z0-9+/=]+")
"""The base64 of a PNG."""
DRAWING = re.compile(rb"<svg .*?</svg>", re.DOTALL)
NAME = re.compile(rb"-(?:p|m|image|C\d+_\d+_)[0-9a-f]{10}\b")
"""What matplotlib calls a part of a drawing, after all digits of its coordinates."""
COORDINATE = re.compile(rb"-?\d+(?:\.\d+)?")
TEXTS = (".tex", ".csv", ".md", ".html", ".yaml")
REPORTS = {
    "demo": ("index.html", "comparison.md", "audit.md", "metrics.yaml"),
    "workstation": ("index.html", "comparison.md"),
    "ablation": ("index.html",),
}
"""Experiment -> what is rendered. The pages show all tables and figures, so they are rendered too."""


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / DEMO).glob("[ft]*.md")))
def test_captions_in_the_report_are_read_as_plain_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    caption = Workflow.caption("demo", name)
    document = publish_doctree(caption, settings_overrides={"halt_level": 1, "report_level": 1})
    (paragraph,) = document.children
    assert {type(child).__name__ for child in paragraph.children} == {"Text"}
    printed = (DEMO / f"{name}.md").read_text(encoding="utf-8").partition("\n")[0].replace("**", "").replace("\\", "")
    assert paragraph.astext() == printed


@pytest.fixture(scope="module", params=REPORTS)
def rendered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of an experiment the folder that is committed, and what its cells and the account of their run render to."""
    folder = Path("paper_tables") / request.param
    project = new_project(tmp_path_factory.mktemp(request.param) / "project")
    shutil.copytree(ROOT / "results/cells", project.folder / "results/cells")
    (project.folder / folder).mkdir(parents=True)
    for account in (ROOT / folder).glob("run.json"):
        shutil.copy(account, project.folder / folder)
    targets = [str(folder / name) for name in REPORTS[request.param]]
    result = project.execute(project.command(*targets, settings=(f"experiment={request.param}",)))
    assert result.returncode == 0, result.stdout
    return ROOT / folder, project.folder / folder


def pictures(page: Path) -> list[NDArray[np.int16]]:
    """The pixels of all PNGs in a page."""
    files = (io.BytesIO(base64.b64decode(text)) for text in PICTURE.findall(page.read_bytes()))
    return [np.asarray(Image.open(file).convert("RGBA")).astype(np.int16) for file in files]


@pytest.mark.parametrize("suffix", TEXTS)
def test_texts_have_the_committed_bytes(rendered: tuple[Path, Path], suffix: str) -> None:
    committed, found = (
        {path.name: PICTURE.sub(b"", DRAWING.sub(b"", path.read_bytes())) for path in folder.glob(f"*{suffix}")}
        for folder in rendered
    )
    assert committed.keys() == found.keys()
    assert [name for name, content in committed.items() if found[name] != content] == []


def test_pages_show_the_committed_drawings(rendered: tuple[Path, Path]) -> None:
    """To a tenth of a point, and but for the pixels inside."""
    pages = [NAME.sub(b"", PICTURE.sub(b"", (folder / "index.html").read_bytes())) for folder in rendered]
    for left, right in zip(*(DRAWING.findall(page) for page in pages), strict=True):
        assert COORDINATE.sub(b"", left) == COORDINATE.sub(b"", right)
        numbers = (np.array(COORDINATE.findall(drawing), dtype=float) for drawing in (left, right))
        np.testing.assert_allclose(*numbers, atol=0.1)


def test_pages_show_the_committed_pictures(rendered: tuple[Path, Path]) -> None:
    """But for the shades of some pixels along edges: on average, by less than one of 255 levels."""
    committed, found = (pictures(folder / "index.html") for folder in rendered)
    for left, right in zip(committed, found, strict=True):
        assert left.shape == right.shape
        assert np.abs(left - right).mean() < 1
