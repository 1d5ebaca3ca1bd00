"""Publishing into the remote inside the repository, and what publishing refuses; artifacts are invented."""

from __future__ import annotations

import functools
import hashlib
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import dvc.api
import pytest
import yaml
from benchmarks.invented import invent
from tests.support.projects import one_sentence
from tests.support.repositories import add_remote, clone, commit, must, new_repository
from tests.support.smoke_project import ROOT, Project

from trigger_activation.errors import UserError
from trigger_activation.plan import Plan, build_plan
from trigger_activation.plan.config import Config, load_config
from trigger_activation.plan.kinds import CELL, shared_folder
from trigger_activation.plan.sharing import in_repository
from trigger_activation.store import publish as publishing
from trigger_activation.store.records import (
    file_record,
    read_artifact,
    read_record,
    sidecar,
    write_json_artifact,
    write_record,
)

pytestmark = pytest.mark.workflow

REMOTE = Path("dvc-remote")
TAE = "results/taes/smoke/vgg-s__standard/seed0/pgd.npz"
CONTROL = "results/checkpoints/smoke/vgg-s__noise_64/seed0.safetensors"
LEFT_OUT = "results/datasets/fashion16/train.npz"
KEPT = ("results/datasets", "results/checkpoints", "results/taes", "results/purified", "results/predictions")


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(ROOT / "config")


@pytest.fixture(scope="module")
def plan(config: Config) -> Plan:
    return build_plan(config)


@pytest.fixture(scope="module")
def chosen(config: Config, plan: Plan) -> set[str]:
    """The files that the remote inside the repository holds, with their records."""
    files = in_repository(config, plan, ["smoke"])
    return files | {str(sidecar(file)) for file in files}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> Project:
    """A repository whose smoke experiment is invented and published into it."""
    project = new_repository(tmp_path_factory.mktemp("publishing") / "origin")
    project.edit(".gitignore", "/paper_tables/smoke/\n/results/cells/smoke/\n", "")
    with chdir(project.folder):
        invent(plan.of_experiment("smoke"))
    result = project.trigact("publish", "smoke")
    assert result.returncode == 0, result.stdout
    commit(project)
    return project


@pytest.fixture
def copy(origin: Project, tmp_path: Path) -> Project:
    """A copy of that repository to change, all artifacts included."""
    return origin.copy_to(tmp_path / "copy")


def objects(project: Project) -> dict[str, bytes]:
    """What the remote holds, by content; no two names hold the same."""
    return project.contents(str(REMOTE))


def lists(project: Project) -> dict[str, bytes]:
    """What git says is published."""
    return {file: content for file, content in project.contents("results").items() if file.endswith(".dvc")}


def rewrite(project: Project, path: str, content: str) -> None:
    """Give an artifact other bytes, and its record their hash."""
    with chdir(project.folder):
        record = read_record(path)
        assert record is not None
        Path(path).write_text(content)
        write_record(record.model_copy(update={"files": {path: file_record(Path(path))}}))


def test_of_a_second_run_it_chooses_predictions(config: Config, plan: Plan) -> None:
    cells = [each for each in plan.of_experiment("demo-again") if each.kind is CELL]
    assert in_repository(config, plan, ["demo-again"]) == {file for each in cells for file in each.by_products}


def test_it_chooses_what_first_tables_and_evaluations_need(config: Config, plan: Plan) -> None:
    chosen = in_repository(config, plan, ["demo"])
    cells = [each for each in plan.of_experiment("demo") if each.kind is CELL]
    assert {file for each in cells for file in each.by_products} <= chosen
    for paradigm in ("standard", "at", "noise_64", "fixed_64", "learn_32"):
        assert {
            f"results/checkpoints/fashion16/{n}__{paradigm}/seed0.safetensors" for n in ("vgg-s", "resnet18-xs")
        } <= chosen
    assert "results/checkpoints/fashion16/vgg-s__standard/seed2.safetensors" in chosen
    assert "results/checkpoints/fashion16/vgg-s__tdat/seed0.safetensors" not in chosen
    assert not any("/purified/" in file or file.endswith("train.npz") for file in chosen)
    crafted = [file for file in chosen if "/taes/" in file or "/excerpts/" in file]
    assert all("__standard/seed0/" in file or file.endswith("/test.npz") for file in crafted)
    assert "results/excerpts/fashion16/vgg-s__standard/seed0/pgd.npz" in crafted
    assert {"results/excerpts/fashion16/test.npz", "results/datasets/photos32/test.npz"} <= chosen
    assert "results/datasets/fashion16/test.npz" not in chosen
    assert "results/taes/fashion16/vgg-s__standard/seed0/l2t.npz" in crafted
    assert not {file.replace("/taes/", "/excerpts/") for file in crafted if "/taes/" in file} & set(crafted)


def test_a_literal_dvc_pull_in_a_clone_brings_it_all(origin: Project, tmp_path: Path, chosen: set[str]) -> None:
    copy = clone(origin, tmp_path / "clone")
    must(copy, "dvc", "pull")
    assert set(copy.contents(*KEPT)) == chosen | {
        file for file in copy.files() if file.endswith((".dvc", ".gitignore", "dvc.yaml")) and file.startswith(KEPT)
    }
    assert "up to date" in must(copy, "dvc", "status")
    result = copy.trigact("verify", "smoke")
    assert result.returncode == 0, result.stdout
    assert must(copy, "git", "status", "--porcelain") == ""


def test_publishing_twice_changes_no_file(copy: Project) -> None:
    before = {file: state for file, state in copy.snapshot().items() if not file.startswith((".dvc/", ".git/"))}
    result = copy.trigact("publish", "smoke")
    assert result.returncode == 0, result.stdout
    assert "nothing is new" in result.stdout
    after = {file: state for file, state in copy.snapshot().items() if not file.startswith((".dvc/", ".git/"))}
    assert {file: state[0] for file, state in after.items()} == {file: state[0] for file, state in before.items()}
    assert must(copy, "git", "status", "--porcelain") == ""


def test_what_is_published_again_leaves_nothing_old_and_its_git_add_is_complete(copy: Project, plan: Plan) -> None:
    before = objects(copy)
    with chdir(copy.folder):
        rewrite(copy, CONTROL, "trained again")
        affected = [each for each in plan.upstream(plan.targets["smoke"].values()) if CONTROL in each.input_paths]
        for each in affected:
            invent_again(each.path, {CONTROL: "trained again"})
    result = copy.trigact("publish", "smoke")
    assert result.returncode == 0, result.stdout
    after = objects(copy)
    assert len(after) == len(before)
    assert b"trained again" in after.values()
    (command,) = re.findall(r"git add (.*?) &&", result.stdout)
    must(copy, "git", "add", *command.split())
    changed = must(copy, "git", "status", "--porcelain").splitlines()
    assert changed
    assert [line for line in changed if line[1] != " "] == []


def invent_again(path: str, changed: dict[str, str]) -> None:
    """Let a cell and its predictions rest on the new bytes of some inputs."""
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in changed.items()}
    record, content = read_artifact(path)
    assert record is not None
    assert content is not None
    write_json_artifact(
        Path(path), {**content, "again": True}, record.model_copy(update={"inputs": {**record.inputs, **hashes}})
    )
    predictions = Path(path.replace("/cells/", "/predictions/")).with_suffix(".npz")
    if predictions.exists():
        its = read_record(str(predictions))
        assert its is not None
        write_record(its.model_copy(update={"inputs": {**its.inputs, **hashes}}))


def test_publishing_after_a_partial_pull_keeps_what_others_published(
    origin: Project, tmp_path: Path, chosen: set[str]
) -> None:
    copy = clone(origin, tmp_path / "clone")
    assert copy.trigact("pull", TAE).returncode == 0
    assert copy.trigact("publish", "smoke").returncode == 0
    assert objects(copy).keys() == objects(origin).keys()
    must(copy, "dvc", "pull")
    assert chosen <= set(copy.contents(*KEPT))


def test_what_the_cells_were_not_made_from_is_refused_and_the_cells_are_named(copy: Project) -> None:
    before = lists(copy)
    rewrite(copy, CONTROL, "trained elsewhere")
    result = copy.trigact("publish", "smoke")
    assert result.returncode == 1
    said = one_sentence(result.stdout.strip())
    assert "cells and studies here were not made from what would be: make them anew with `snakemake -f " in said
    assert "results/cells/smoke/clean/clean/noise_64.json" in said
    assert lists(copy) == before
    assert b"trained elsewhere" not in objects(copy).values()


def test_more_than_git_should_hold_is_refused(
    copy: Project, config: Config, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "LIMIT", 2**10)
    monkeypatch.chdir(copy.folder)
    with pytest.raises(UserError) as refusal:
        publishing.publish(plan, plan.of_experiment("smoke"), in_repository(config, plan, ["smoke"]))
    assert "dvc-remote would hold" in one_sentence(str(refusal.value))


def test_a_remote_elsewhere_takes_everything(copy: Project) -> None:
    add_remote(copy)
    result = copy.trigact("publish", "smoke")
    assert result.returncode == 0, result.stdout
    listed = must(copy, "dvc", "list", ".", str(shared_folder(LEFT_OUT)), "--dvc-only")
    assert Path(LEFT_OUT).name in listed.split()
    assert must(copy, "git", "status", "--porcelain", "dvc-remote") == ""


def test_networks_have_names(origin: Project) -> None:
    artifacts = yaml.safe_load((origin.folder / "results/checkpoints/dvc.yaml").read_text())["artifacts"]
    named = artifacts["smoke-vgg-s-noise-64-seed0"]
    assert named["path"] == str(Path(CONTROL).relative_to("results/checkpoints"))
    assert all(re.fullmatch("[a-z0-9]([a-z0-9-]*[a-z0-9])?", name) for name in artifacts)
    with dvc.api.open(CONTROL, repo=str(origin.folder), mode="rb") as stream:
        assert stream.read() == (origin.folder / CONTROL).read_bytes()


def test_a_clone_makes_table_1_again_from_what_it_pulled_without_training(tmp_path: Path) -> None:
    """Networks, images and cells are real here."""
    table, cells = "paper_tables/smoke/table1.tex", Path("results/cells/smoke")
    source = new_repository(tmp_path / "source")
    source.edit(".gitignore", "/paper_tables/smoke/\n/results/cells/smoke/\n", "")
    commit(source)
    assert source.run(table).returncode == 0
    result = source.trigact("publish", "smoke")
    assert result.returncode == 0, result.stdout
    (command,) = re.findall(r"git add (.*?) &&", result.stdout)
    must(source, "git", "add", *command.split())
    left = must(source, "git", "status", "--porcelain", "--untracked-files=all").splitlines()
    assert [line for line in left if line[1] != " "] == []
    commit(source)
    copy = clone(source, tmp_path / "copy")
    must(copy, "dvc", "pull")
    result = copy.trigact("verify", "smoke")
    assert result.returncode == 0, result.stdout
    assert copy.planned(table) == {}
    shutil.rmtree(copy.folder / cells)
    for suffix in (".tex", ".csv", ".md"):
        (copy.folder / table).with_suffix(suffix).unlink()
    planned = copy.planned(table)  # The remote has the adversarial images of the first seed.
    assert planned.keys() == {"tae", "cell", "table"}
    assert copy.run(table).returncode == 0
    assert copy.contents(str(cells)) == source.contents(str(cells))
    assert must(copy, "git", "status", "--porcelain") == ""


@pytest.fixture
def served(origin: Project) -> Iterator[str]:
    """The address of a web server that delivers the files of the remote, and knows nothing else."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=origin.folder / REMOTE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_static_files_on_the_web_serve_as_well(origin: Project, tmp_path: Path, served: str) -> None:
    copy = clone(origin, tmp_path / "clone")
    must(copy, "dvc", "remote", "add", "--quiet", "--default", "web", served)
    must(copy, "dvc", "remote", "modify", "--quiet", "web", "verify", "true")
    result = copy.trigact("pull", TAE)
    assert result.returncode == 0, result.stdout
    assert (copy.folder / TAE).read_bytes() == (origin.folder / TAE).read_bytes()
