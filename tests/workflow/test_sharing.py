"""Publishing artifacts through DVC and pulling them again, with a remote in a folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from tests.support.repositories import add_remote, clone, commit, held, must, new_repository, publish, with_own_remote
from tests.support.smoke_project import Project

pytestmark = pytest.mark.workflow

CELL = "results/cells/smoke/standard/pgd/at.json"
CHECKPOINTS = "results/checkpoints/smoke"
TAE = "results/taes/smoke/vgg-s__standard/seed0/pgd.npz"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A repository in which one cell has been made, and published to a remote."""
    project = new_repository(tmp_path_factory.mktemp("sharing") / "origin")
    assert project.run(CELL).returncode == 0
    must(project, "git", "add", "--force", CELL)
    add_remote(project)
    publish(project)
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


def test_an_official_archive_may_be_imported_instead_of_downloaded(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    (tmp_path / "theirs").write_bytes(b"an archive that somebody else keeps")
    archive = "results/external/cifar-10-python.tar.gz"
    (copy.folder / archive).parent.mkdir(parents=True)
    must(copy, "dvc", "import-url", str(tmp_path / "theirs"), archive)
    assert must(copy, "git", "status", "--short", "--untracked-files=all").split() == ["??", f"{archive}.dvc"]
    (copy.folder / archive).unlink()
    must(copy, "dvc", "pull", archive)
    assert (copy.folder / archive).read_bytes() == (tmp_path / "theirs").read_bytes()


def test_a_program_pulls_what_it_loads_and_nothing_else(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    code = "from trigger_activation import load_taes; print(len(load_taes('smoke', 'vgg-s', 'pgd')))"
    result = copy.execute([sys.executable, "-c", code])
    assert result.returncode == 0, result.stdout
    assert result.stdout.splitlines()[-1] == "100"
    assert files(copy) == {"results/datasets/fashion16/test.npz", TAE}
    code = "from trigger_activation import load_victim; load_victim('smoke', 'vgg-s', 'tdat')"
    result = copy.execute([sys.executable, "-c", code])
    absent = "results/checkpoints/smoke/vgg-s__tdat/seed0.safetensors"
    said = f"{absent} is not here and is not published: `snakemake {absent}` makes it"
    assert result.stdout.splitlines()[-1].endswith(said), "as nothing is ever trained"
    assert not any("tdat" in file for file in copy.files())


def test_a_changed_parameter_pulls_only_what_still_fits(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    (copy.folder / CELL).unlink()
    copy.edit("config/attacks/gradient.yaml", "step_size: 0.095625*eps\n", "step_size: 3/255\n")
    assert copy.trigact("pull", CELL).returncode == 0
    assert not any("/taes/" in file for file in files(copy))
    assert copy.planned(CELL) == {"tae": 2, "cell": 1}


def test_what_is_of_another_recipe_is_named_and_kept(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    assert copy.trigact("pull", TAE).returncode == 0
    (copy.folder / CELL).unlink()
    copy.edit("config/attacks/gradient.yaml", "step_size: 0.095625*eps\n", "step_size: 3/255\n")
    result = copy.trigact("pull", CELL)
    assert result.returncode == 0
    assert f"kept: {TAE}. Snakemake makes" in result.stdout
    assert (copy.folder / TAE).read_bytes() == (origin.folder / TAE).read_bytes()
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
    lists = f"results/datasets/fashion16.dvc {CHECKPOINTS}.dvc results/checkpoints/dvc.yaml"
    advice = f"git add {lists} && git commit"
    assert advice in result.stdout
    assert advice in copy.trigact("publish", "smoke").stdout, "as after a publication that was killed"
    commit(copy)
    assert "nothing is new" in copy.trigact("publish", "smoke").stdout


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
    both = [copy.folder / TAE, copy.folder / f"{TAE}.prov.json"]
    contents = [path.read_bytes() for path in both]
    for path, content in zip(both, contents, strict=True):
        held(copy.folder / ".dvc/cache", content).write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
        path.unlink()
    result = copy.trigact("pull", TAE)
    assert result.returncode == 0, result.stdout
    assert [path.read_bytes() for path in both] == contents


def test_what_is_damaged_at_the_remote_is_named_and_nothing_bad_stays(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    remote = with_own_remote(copy, origin.folder.with_name("remote"))
    content = (origin.folder / TAE).read_bytes()
    kept = held(remote, content)
    kept.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    result = copy.trigact("pull", TAE)
    assert result.returncode == 1
    assert "Traceback" not in result.stdout
    assert TAE in result.stdout.splitlines()[-1]
    assert not (copy.folder / TAE).exists()
    kept.write_bytes(content)
    assert copy.trigact("pull", TAE).returncode == 0
    assert (copy.folder / TAE).read_bytes() == content


def test_without_a_remote_one_sentence_says_how_to_set_one(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    must(copy, "dvc", "config", "--unset", "core.remote")
    for command in (("pull", TAE), ("publish", "smoke")):
        result = copy.trigact(*command)
        assert result.returncode == 1
        assert result.stdout.startswith("trigact: no remote is set: ")
        assert len(result.stdout.splitlines()) == 1


def test_a_list_that_a_merge_left_in_two_versions_is_named(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    path = copy.folder / "results/taes/smoke.dvc"
    path.write_text(f"<<<<<<< HEAD\n{path.read_text()}=======\n{path.read_text()}>>>>>>> other\n")
    result = copy.trigact("pull", TAE)
    assert result.returncode == 1
    assert result.stdout.startswith("trigact: results/taes/smoke.dvc cannot be read, perhaps since a merge")
    assert len(result.stdout.splitlines()) == 1


def test_changed_code_that_no_commit_holds_is_not_published(origin: Project, tmp_path: Path) -> None:
    copy = clone(origin, tmp_path / "clone")
    copy.edit("config/attacks/gradient.yaml", "label: PGD", "label: PGD-20")
    copy.edit("workflow/profiles/slurm/config.yaml", "jobs: 100", "jobs: 10")
    target = f"{CHECKPOINTS}/vgg-s__fixed_64/seed0.safetensors"
    assert copy.run(target).returncode == 0
    result = copy.trigact("publish", "smoke")
    assert result.returncode == 1
    assert "was made by code that no commit holds (changed were config/attacks/gradient.yaml)" in result.stdout


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
