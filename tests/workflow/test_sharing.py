"""Publishing artifacts through DVC and pulling them again, with a remote in a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from smoke_project import BIN, ROOT, Project, new_project

pytestmark = pytest.mark.workflow

CELL = "results/cells/smoke/standard/pgd/at.json"
CHECKPOINTS = "results/checkpoints/smoke"
TAE = "results/taes/smoke/vgg-s__standard/seed0/pgd.npz"


def must(project: Project, *command: str) -> str:
    result = project.execute([str(BIN / command[0]) if command[0] == "dvc" else command[0], *command[1:]])
    assert result.returncode == 0, result.stdout
    return result.stdout


def commit(project: Project) -> None:
    must(project, "git", "add", "--all")
    must(project, "git", "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "Change")


def clone(project: Project, folder: Path) -> Project:
    must(project, "git", "clone", "--quiet", ".", str(folder))
    return Project(folder)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A repository in which one cell has been made, and published to a remote."""
    project = new_project(tmp_path_factory.mktemp("sharing") / "origin")
    for name in (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
        (project.folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, project.folder / name)
    must(project, "git", "init", "--quiet")
    commit(project)
    assert project.run(CELL).returncode == 0
    must(project, "git", "add", "--force", CELL)
    remote = project.folder.with_name("remote")
    remote.mkdir()
    must(project, "dvc", "remote", "add", "--quiet", "--default", "store", str(remote))
    must(project, "dvc", "remote", "modify", "--quiet", "store", "verify", "true")
    commit(project)
    printed = project.trigact("publish", "smoke")
    assert printed.returncode == 0, printed.stdout
    assert "git add" in printed.stdout
    commit(project)
    return project


def listed(project: Project, folder: str) -> set[str]:
    entries = json.loads(must(project, "dvc", "list", ".", folder, "--recursive", "--dvc-only", "--json"))
    return {entry["path"] for entry in entries}


def files(project: Project) -> set[str]:
    return {
        str(p.relative_to(project.folder))
        for p in project.folder.glob("results/**/*")
        if p.suffix in (".npz", ".safetensors")
    }


def test_a_clone_needs_no_pull_for_a_cell_that_git_holds(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    assert copy.planned(CELL) == {}
    result = copy.trigact("pull", CELL)
    assert result.returncode == 0
    assert "Nothing to pull" in result.stdout
    assert files(copy) == set()


def test_a_pull_brings_what_the_target_is_made_from_and_nothing_else(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    (copy.folder / CELL).unlink()
    result = copy.trigact("pull", CELL)
    assert result.returncode == 0, result.stdout
    assert "Pulling" in result.stdout
    victims = {f"{CHECKPOINTS}/{network}__at/seed0.safetensors" for network in ("vgg-s", "resnet18-xs")}
    sets = {TAE, TAE.replace("vgg-s", "resnet18-xs")}
    test = "results/datasets/fashion16/test.npz"
    assert files(copy) == {test, *victims, *sets}
    assert copy.planned(CELL) == {"cell": 1}
    assert copy.run(CELL).returncode == 0
    assert (copy.folder / CELL).read_bytes() == (origin.folder / CELL).read_bytes()


def test_a_changed_parameter_pulls_only_what_still_fits(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    (copy.folder / CELL).unlink()
    copy.edit("config/attacks/gradient.yaml", "step_size: 2/255\n", "step_size: 3/255\n")
    assert copy.trigact("pull", CELL).returncode == 0
    assert not any("/taes/" in file for file in files(copy))
    assert copy.planned(CELL) == {"tae": 2, "cell": 1}


def test_publishing_after_a_partial_pull_keeps_what_is_not_here(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    before = listed(copy, CHECKPOINTS)
    pulled = f"{CHECKPOINTS}/vgg-s__at/seed0.safetensors"
    new = f"{CHECKPOINTS}/vgg-s__fixed_64/seed0.safetensors"
    assert copy.trigact("pull", pulled).returncode == 0
    result = copy.run(new)
    assert result.returncode == 0, result.stdout
    result = copy.trigact("publish", "smoke")
    assert result.returncode == 0, result.stdout
    added = {"vgg-s__fixed_64/seed0.safetensors", "vgg-s__fixed_64/seed0.safetensors.prov.json"}
    assert listed(copy, CHECKPOINTS) == before | added


def test_a_damaged_artifact_is_not_published(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    target = f"{CHECKPOINTS}/vgg-s__at/seed0.safetensors"
    assert copy.trigact("pull", target).returncode == 0
    path = copy.folder / target
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    result = copy.trigact("publish", "smoke")
    assert result.returncode == 1
    assert f"{target} is not as its sidecar says" in result.stdout
    result = copy.trigact("pull", target)
    assert result.returncode == 0, result.stdout
    assert path.read_bytes() == content


def test_a_damaged_cache_is_found_and_mended(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    assert copy.trigact("pull", TAE).returncode == 0
    path = copy.folder / TAE
    content = path.read_bytes()
    for cached in copy.folder.glob(".dvc/cache/files/md5/*/*"):
        if cached.read_bytes() == content:
            cached.chmod(0o644)
            cached.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    path.unlink()
    result = copy.trigact("pull", TAE)
    assert result.returncode == 0, result.stdout
    assert path.read_bytes() == content


@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_what_the_remote_lost_is_named_and_nothing_bad_stays(origin: Project, tmp_path: Path, harm: str) -> None:
    copy = clone(origin, tmp_path / "clone")
    remote = tmp_path / "remote"
    shutil.copytree(origin.folder.with_name("remote"), remote)
    must(copy, "dvc", "remote", "modify", "--quiet", "store", "url", str(remote))
    content = (origin.folder / TAE).read_bytes()
    (held,) = [path for path in remote.rglob("*") if path.is_file() and path.read_bytes() == content]
    held.chmod(0o644)
    held.unlink() if harm == "missing" else held.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    result = copy.trigact("pull", TAE)
    assert result.returncode == 1
    assert "Traceback" not in result.stdout
    assert TAE in result.stdout.splitlines()[-1]
    assert not (copy.folder / TAE).exists()
    held.write_bytes(content)
    assert copy.trigact("pull", TAE).returncode == 0
    assert (copy.folder / TAE).read_bytes() == content


def test_a_run_that_would_train_again_says_how_to_pull_instead(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    (copy.folder / CELL).unlink()
    result = copy.run(CELL)
    assert result.returncode == 0
    assert f"`trigact pull {CELL}`" in result.stdout


def test_without_a_remote_one_sentence_says_how_to_set_one(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    shutil.copy(ROOT / ".dvc/config", copy.folder / ".dvc/config")
    for command in (("pull", TAE), ("publish", "smoke")):
        result = copy.trigact(*command)
        assert result.returncode == 1
        assert result.stdout.startswith("trigact: no remote is set: ")
        assert len(result.stdout.splitlines()) == 1


def test_changed_code_that_no_commit_holds_is_not_published(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    copy.edit("config/attacks/gradient.yaml", "label: PGD", "label: PGD-20")
    target = f"{CHECKPOINTS}/vgg-s__fixed_64/seed0.safetensors"
    assert copy.run(target).returncode == 0
    result = copy.trigact("publish", "smoke")
    assert result.returncode == 1
    assert "was made by code that no commit holds" in result.stdout


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that speaks S3, with an empty bucket ``artifacts``."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=address).create_bucket(Bucket="artifacts")
    yield address
    server.stop()


def test_a_bucket_serves_as_well(origin: Project, tmp_path: Path, bucket: str) -> None:
    source = clone(origin, tmp_path / "source")
    assert source.trigact("pull", TAE).returncode == 0
    must(source, "dvc", "remote", "modify", "--quiet", "store", "url", "s3://artifacts/here")
    must(source, "dvc", "remote", "modify", "--quiet", "store", "endpointurl", bucket)
    for path in source.folder.glob("results/**/*.dvc"):
        path.unlink()
    result = source.trigact("publish", "smoke")
    assert result.returncode == 0, result.stdout
    commit(source)
    copy = clone(source, tmp_path / "copy")
    assert copy.trigact("pull", TAE).returncode == 0
    assert (copy.folder / TAE).read_bytes() == (origin.folder / TAE).read_bytes()
