"""What reports read of layouts and cells is checked: mypy sees a misspelt attribute."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.projects import ROOT

BUILDER = ROOT / "src/trigger_activation/report/tables/accuracy.py"
FAST = """
[[tool.mypy.overrides]]
module = ["PIL.*", "jinja2.*", "matplotlib.*", "numpy.*", "pandas.*", "rich.*", "scipy.*", "torch.*", "torchvision.*"]
follow_imports = "skip"
follow_imports_for_stubs = true
"""
"""Reading these would take minutes, and layouts and contents are not made of them."""


def complaints(folder: Path, source: str) -> list[str]:
    """What mypy finds in a module of reports, with the project's settings."""
    module, config = folder / "builder.py", folder / "pyproject.toml"
    module.write_text(source, encoding="utf-8")
    config.write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8") + FAST, encoding="utf-8")
    options = ("--strict", "--follow-imports=silent", f"--config-file={config}", f"--cache-dir={folder / 'cache'}")
    command = [sys.executable, "-m", "mypy", *options, str(module)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.stderr == ""
    return [line for line in said.stdout.splitlines() if ": error: " in line]


def test_a_misspelt_attribute_of_a_layout_and_of_a_cell_is_seen(tmp_path: Path) -> None:
    source = BUILDER.read_text(encoding="utf-8")
    assert source.count("layout.mean_row") == source.count("cell.seeds") == 1
    misspelt = source.replace("layout.mean_row", "layout.mean_rows").replace("cell.seeds", "cell.seed")
    of_layout, of_cell = complaints(tmp_path, misspelt)
    assert '"AccuracyLayout" has no attribute "mean_rows"' in of_layout
    assert '"Cell" has no attribute "seed"' in of_cell
