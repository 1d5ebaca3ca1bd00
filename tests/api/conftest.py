"""A finished smoke run to load from."""

from __future__ import annotations

import pytest

from tests.support.smoke_project import Project


@pytest.fixture
def here(finished: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The finished run as working folder; tests must not change it."""
    monkeypatch.chdir(finished.folder)
    return finished
