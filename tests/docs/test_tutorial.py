"""The documents for readers do what they say: files, commands and examples."""

from __future__ import annotations

import importlib
import re
from contextlib import chdir
from pathlib import Path

import pytest

from tests.support.projects import ROOT, Project
from tests.support.smoke_project import make
from trigger_activation.cli import main
from trigger_activation.errors import UserError
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.preprocessing import PREPROCESSING
from trigger_activation.store.freshness import Freshness

DOCS = ROOT / "docs"
FILE = re.compile(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(r"(?<!\*\*\n\n)^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PACKAGES = {"attacks": ATTACKS, "preprocessing": PREPROCESSING}


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def write_all(folder: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the tutorial's files; its modules join their packages for as long as the test runs."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    for name, registry in PACKAGES.items():
        package = importlib.import_module(f"trigger_activation.science.{name}")
        added = str(folder / "src/trigger_activation/science" / name)
        monkeypatch.setattr(package, "__path__", [*package.__path__, added])
        registry.names()
        monkeypatch.setattr(registry, "_classes", dict(registry._classes))
        monkeypatch.setattr(registry, "_loaded", False)


@pytest.mark.workflow
def test_the_tutorial_ends_with_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = dict(FILE.findall(text("tutorial.md")))
    assert len(files) == 9
    project = Project.shipped(tmp_path)
    with chdir(tmp_path):
        write_all(tmp_path, files, monkeypatch)
        exec(compile(files["results/external/digits.py"], "digits.py", "exec"), {})
        with pytest.raises(UserError, match=r"my-digits has the sha256") as caught:
            make(project.plan(), "results/datasets/my-digits/train.npz")
        told = re.search("`(sha256: .*?)`", str(caught.value))
        assert told
        project.replace("datasets/mine.yaml", "sha256: null", told[1])
        plan = project.plan()
        target = plan.targets["mine"]["mine"]
        for artifact in plan.upstream([target]):
            make(plan, artifact.path)
        assert Freshness(plan).verdict(target).valid
        for command in (["plan", "mine"], ["show", "mine"], ["explain", target]):
            assert main(command) == 0
    shown = capsys.readouterr().out
    assert "Mirror" in shown
    assert "Median 3" in shown
    assert f"{target} is valid" in shown


@pytest.mark.parametrize("page", ["tutorial.md", "reading-a-cell.md"])
def test_examples_run(page: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    for example in EXAMPLE.findall(text(page)):
        exec(compile(example, page, "exec"), names)
    printed = capsys.readouterr().out.splitlines()[-1]
    if page == "reading-a-cell.md":
        left, right = map(float, printed.split(" = "))
        assert left == pytest.approx(right, abs=0.011)
    else:
        assert 0 < float(printed) <= 8.01


def test_messages_are_those_of_the_code() -> None:
    """What troubleshooting quotes of this project's own messages is in its code."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    code = re.sub(r'"\s*f?"', "", code) + (ROOT / "scripts/find_python.sh").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| `([^`|]+)`", text("troubleshooting.md"), re.MULTILINE)
    own = [words for words in quoted if not words.startswith(("snakemake:", "No Python", "Nothing to", "Missing meta"))]
    assert len(own) > 5
    for words in own:
        pattern = re.escape(words).replace(r"pdflatex", r"(pdflatex|\{ENGINE\})")
        assert re.search(pattern.replace(r"was\ left\ out:\ it\ needs\ ", ""), code), words


def test_every_document_is_in_the_index() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", text("index.md")))
    assert linked == {path.name for path in DOCS.glob("*.md")} - {"index.md"}
