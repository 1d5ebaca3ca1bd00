"""Cells beside those in git."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from trigger_activation.errors import UserError
from trigger_activation.store.committed import differences
from trigger_activation.store.records import Record, write_json_artifact

SAME, OTHER, NEW, TIMED = (f"results/cells/p/{name}.json" for name in ("same", "other", "new", "measured/cost/none"))


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], check=True, capture_output=True)


def write(path: str, mean: float, recipe: str = "0" * 64, **others: Any) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    record = Record(path=path, kind="cell", recipe=recipe, parameters={}, versions={}, inputs={})
    write_json_artifact(Path(path), {"means": {"all": {"mean": mean}}, **others}, record)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    for path in (SAME, OTHER, TIMED):
        write(path, 50.0)
    git("add", "results")
    git("commit", "-q", "-m", "cells")
    return tmp_path


@pytest.mark.usefixtures("repository")
def test_cells_are_told_apart_by_their_content() -> None:
    write(OTHER, 52.5)
    write(NEW, 1.0)
    write(TIMED, 99.0)
    found = differences([SAME, OTHER, NEW, TIMED, "results/cells/p/absent.json"])
    assert (found.same, found.changed, found.added) == ([SAME], [OTHER], [NEW])
    assert found.largest == (2.5, OTHER)
    assert str(found) == (
        f"1 of 2 cells have the content that is committed; 1 differ, for example {OTHER}; the largest change of a mean "
        f"is 2.50 points, in {OTHER}; 1 are not committed."
    )


def test_a_record_is_not_content(repository: Path) -> None:
    before = (repository / SAME).read_text()
    write(SAME, 50.0, recipe="1" * 64)
    assert (repository / SAME).read_text() != before
    assert differences([SAME]).changed == []


def test_outside_of_git_there_is_nothing_to_compare_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    write(SAME, 50.0)
    with pytest.raises(UserError, match="no git repository"):
        differences([SAME])
