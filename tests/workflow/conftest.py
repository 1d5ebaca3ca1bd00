"""A finished run of the smoke experiment through the real Snakefile, and copies of it to break."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from smoke_project import Project, new_project

from trigger_activation.config import load_config
from trigger_activation.plan import Plan, build_plan


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished smoke run; tests must not change it."""
    project = new_project(tmp_path_factory.mktemp("smoke"))
    result = project.run()
    assert result.returncode == 0, result.stdout
    return project


@pytest.fixture
def copy(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished run to change, without Snakemake's own records."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, ignore=shutil.ignore_patterns(".snakemake"))
    return Project(folder)


@pytest.fixture
def plan(copy: Project, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The copy's plan, with the copy as working folder."""
    monkeypatch.chdir(copy.folder)
    return build_plan(load_config(Path("config")))


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A project in which nothing has been made."""
    return new_project(tmp_path / "fresh")
