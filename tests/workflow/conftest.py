"""Copies of the finished smoke run to break, and a project in which nothing has been made."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.smoke_project import Project, new_project

from trigger_activation.plan import Plan, build_plan
from trigger_activation.plan.config import load_config


@pytest.fixture
def copy(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished run to change."""
    return finished.copy_to(tmp_path / "copy")


@pytest.fixture
def plan(copy: Project, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The copy's plan, with the copy as working folder."""
    monkeypatch.chdir(copy.folder)
    return build_plan(load_config(Path("config")))


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A project in which nothing has been made."""
    return new_project(tmp_path / "fresh")
