"""Repositories of the workflow whose artifacts DVC keeps in a folder beside them."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.smoke_project import BIN, ROOT, Project, new_project

SHARED = (".gitattributes", ".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore")


def must(project: Project, *command: str) -> str:
    """What a command prints that has to succeed."""
    result = project.execute([str(BIN / command[0]) if command[0] == "dvc" else command[0], *command[1:]])
    assert result.returncode == 0, result.stdout
    return result.stdout


def commit(project: Project) -> None:
    """Commit every file that is not ignored, and those that were added before."""
    must(project, "git", "add", "--all")
    must(project, "git", "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "Change")


def new_repository(folder: Path) -> Project:
    """The workflow in a repository of its own, nothing made yet."""
    project = new_project(folder)
    for name in SHARED:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    must(project, "git", "init", "--quiet")
    commit(project)
    return project


def add_remote(project: Project) -> Path:
    """Make a folder beside the repository its remote."""
    remote = project.folder.with_name("remote")
    remote.mkdir()
    must(project, "dvc", "remote", "add", "--quiet", "--default", "store", str(remote))
    must(project, "dvc", "remote", "modify", "--quiet", "store", "verify", "true")
    commit(project)
    return remote


def publish(project: Project) -> None:
    """Publish what is here of the smoke experiment, and commit that."""
    result = project.trigact("publish", "smoke")
    assert result.returncode == 0, result.stdout
    assert "git add" in result.stdout
    commit(project)


def clone(project: Project, folder: Path) -> Project:
    """A clone, with the same remote."""
    must(project, "git", "clone", "--quiet", ".", str(folder))
    return Project(folder)


def with_own_remote(project: Project, remote: Path) -> Path:
    """Give a clone a copy of the remote, for a test to break."""
    copy = project.folder.with_name("own-remote")
    shutil.copytree(remote, copy)
    must(project, "dvc", "remote", "modify", "--quiet", "store", "url", str(copy))
    return copy


def held(remote: Path, content: bytes) -> Path:
    """The object of a remote that has this content, writable."""
    (path,) = [path for path in remote.rglob("*") if path.is_file() and path.read_bytes() == content]
    path.chmod(0o644)
    return path
