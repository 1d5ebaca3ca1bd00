"""Artifacts as git has them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.report.test_tables import cell
from trigger_activation.errors import UserError
from trigger_activation.store.committed import committed_document
from trigger_activation.store.documents import read_document
from trigger_activation.store.records import Record, write_json_artifact

CELL = "results/cells/p/standard/pgd/none.json"


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], check=True, capture_output=True)


def write(value: float) -> None:
    Path(CELL).parent.mkdir(parents=True, exist_ok=True)
    record = Record(path=CELL, kind="cell", recipe="0" * 64, parameters={}, versions={}, inputs={})
    write_json_artifact(Path(CELL), cell("pgd", "none", value).as_json(), record)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    write(50.0)
    git("add", "results")
    git("commit", "-q", "-m", "cells")
    return tmp_path


@pytest.mark.usefixtures("repository")
def test_it_is_read_as_it_was_committed() -> None:
    write(60.0)
    committed, here = committed_document(CELL), read_document(CELL)
    assert committed is not None
    assert here is not None
    assert (committed.content.means["all"].mean, here.content.means["all"].mean) == (50, 60)


@pytest.mark.usefixtures("repository")
def test_what_was_never_committed_is_not_there() -> None:
    assert committed_document("results/cells/p/standard/pgd/at.json") is None


@pytest.mark.usefixtures("repository")
def test_an_earlier_commit_has_what_stood_there_then() -> None:
    write(60.0)
    git("commit", "-q", "-a", "-m", "again")
    means = [found.content.means["all"].mean for rev in ("HEAD~1", "HEAD") if (found := committed_document(CELL, rev))]
    assert means == [50, 60]


@pytest.mark.usefixtures("repository")
def test_a_commit_that_git_lacks_is_named() -> None:
    with pytest.raises(UserError, match="git knows no 1234567 here"):
        committed_document(CELL, "1234567")


def test_another_form_is_told_in_a_sentence(repository: Path) -> None:
    path = repository / CELL
    record = Record(path=CELL, kind="cell", recipe="0" * 64, parameters={}, versions={}, inputs={})
    write_json_artifact(path, {"means": {"all": {"bootstrap": [1.0]}}}, record)
    git("commit", "-q", "-a", "-m", "another form")
    with pytest.raises(UserError, match="has another form in that version"):
        committed_document(CELL)


def test_an_edited_one_is_refused(repository: Path) -> None:
    path = repository / CELL
    path.write_text(path.read_text().replace("50.0", "51.0"))
    git("commit", "-q", "-a", "-m", "better")
    with pytest.raises(UserError, match="edited after it was measured"):
        committed_document(CELL)


def test_outside_of_git_there_is_nothing_to_compare_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no git repository with a commit"):
        committed_document(CELL)
