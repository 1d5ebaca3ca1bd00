"""The structure of the package: what greets whoever opens it, and which way imports run."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import trigger_activation
from tests.support.projects import ROOT

PACKAGE = Path(trigger_activation.__file__).parent


def imports() -> Iterator[tuple[Path, str]]:
    """Every module of this package that another one imports, by the importing file."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trigger_activation."):
                for alias in node.names:
                    yield path, f"{node.module}.{alias.name}"


def test_at_most_twelve_names_greet_whoever_opens_the_package() -> None:
    names = {path.name for path in PACKAGE.iterdir()} - {"__init__.py", "__pycache__", "py.typed"}
    assert names == {
        *("science", "plan", "store", "report", "run", "api", "cli"),
        *("errors.py", "lazy.py", "parameters.py", "registry.py"),
    }


def test_no_private_module_is_imported_from_another_package() -> None:
    for path, name in imports():
        parts = name.split(".")
        private = [index for index, part in enumerate(parts) if part.startswith("_")]
        if private:
            owner = PACKAGE.joinpath(*parts[1 : private[0]])
            assert path.parent == owner, f"{path} imports {name}"


def test_imports_run_one_way_and_in_no_circle() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_tests_lie_in_folders_of_the_wings_names() -> None:
    wings = {"science", "plan", "store", "report", "run", "api"}
    assert wings <= {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}


def test_science_knows_no_folder_of_results() -> None:
    for path in (PACKAGE / "science").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Path":
                assert "results" not in ast.unparse(node), f"{path}:{node.lineno}"
