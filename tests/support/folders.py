"""Fixtures: working directories with a config to edit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.projects import Project


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project(folder: Path) -> Project:
    """A working directory with a copy of the shipped config."""
    return Project.shipped(folder)


@pytest.fixture
def small(folder: Path) -> Project:
    """A working directory with the small project's config."""
    return Project.small(folder)
