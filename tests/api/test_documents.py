"""The notebook and the README's example, run as a reader would run them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import pytest

from tests.support.smoke_project import ROOT, Project
from trigger_activation.api import Evaluation

pytestmark = pytest.mark.workflow

NOTEBOOK = ROOT / "docs/evaluate-your-model.ipynb"


def test_the_notebook_runs_from_top_to_bottom(here: Project) -> None:
    """In one process, cell by cell; a kernel would need packages that nothing else here needs."""
    mpl.use("agg")
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    names: dict[str, object] = {"__name__": "__main__"}
    for number, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
        assert cell.outputs == [], "what is committed holds no numbers of one machine"
        exec(compile(cell.source, f"{NOTEBOOK.name}, cell {number}", "exec"), names)
    assert len(plt.get_fignums()) == 2
    plt.close("all")
    assert isinstance(names["row"], Evaluation)
    assert here


def test_the_example_of_the_readme_runs_in_a_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tmp_path / "clone")], check=True)
    monkeypatch.chdir(tmp_path / "clone")
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert "accuracy in percent" in capsys.readouterr().out
