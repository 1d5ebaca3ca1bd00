"""A second run, full and read-only disks, damaged artifacts: one sentence. Faults amid a run are in tests/faults."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.image_sets import adversarial_images, clean_images, write_tae_set
from tests.support.projects import one_sentence
from tests.support.smoke_project import QUIET, UNSHARE, Project, can_mount, make

from trigger_activation.errors import UserError
from trigger_activation.plan import Plan
from trigger_activation.store.arrays import save_arrays
from trigger_activation.store.freshness import Freshness, Status
from trigger_activation.store.records import file_record, read_record, write_record
from trigger_activation.store.tae_sets import packed

pytestmark = pytest.mark.workflow

CELL = "results/cells/smoke/standard/pgd/at.json"
CHECKPOINT = "results/checkpoints/smoke/vgg-s__at/seed0.safetensors"
TAE = "results/taes/smoke/vgg-s__standard/seed0/pgd.npz"
TEST = "results/datasets/fashion16/test.npz"
TABLE = "paper_tables/smoke/table7.tex"


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("path", [CHECKPOINT, TAE, TEST])
def test_a_flipped_bit_is_named_and_nothing_is_lost(plan: Plan, copy: Project, path: str) -> None:
    flip_a_bit(Path(path))
    before = copy.contents("results/checkpoints", "results/taes", "results/cells", "paper_tables")
    with pytest.raises(UserError) as caught:
        make(plan, CELL)
    assert str(caught.value).startswith(f"{path} is damaged")
    assert "\n" not in str(caught.value)
    assert copy.contents("results/checkpoints", "results/taes", "results/cells", "paper_tables") == before


@pytest.mark.parametrize("path", [CHECKPOINT, TAE, TEST])
def test_a_truncated_artifact_is_stale(plan: Plan, path: str) -> None:
    with Path(path).open("r+b") as stream:
        stream.truncate(1000)
    verdict = Freshness(plan).verdict(path)
    assert verdict.status is Status.STALE
    assert path in verdict.reason


def test_a_tae_set_over_its_budget_is_refused(plan: Plan) -> None:
    images = adversarial_images(TAE)
    images[0, 0, 0, 0] = 255 if images[0, 0, 0, 0] < 128 else 0
    write_tae_set(TAE, images)
    rerecord(TAE)
    with pytest.raises(UserError, match="more than its budget of 16/255"):
        make(plan, CELL)


def test_a_tae_set_of_another_data_set_is_refused(plan: Plan) -> None:
    other = packed(adversarial_images(TAE), clean_images(100), "0" * 64)
    save_arrays(Path(TAE), other)
    rerecord(TAE)
    for path in (CELL, f"{TAE.replace('taes', 'purified').removesuffix('.npz')}__nrp.npz"):
        with pytest.raises(UserError) as caught:
            make(plan, path)
        assert one_sentence(str(caught.value)).startswith(f"{TAE} holds differences to a data set of sha256 {'0' * 12}")


def test_the_checkpoint_of_another_network_is_refused(plan: Plan) -> None:
    shutil.copy("results/checkpoints/smoke/resnet18-xs__at/seed0.safetensors", CHECKPOINT)
    rerecord(CHECKPOINT)
    with pytest.raises(UserError, match=f"{CHECKPOINT} cannot be used as a checkpoint .it holds"):
        make(plan, CELL)


def test_the_record_of_another_artifact_is_refused(plan: Plan) -> None:
    other = "results/checkpoints/smoke/resnet18-xs__at/seed0.safetensors"
    shutil.copy(other, CHECKPOINT)
    shutil.copy(f"{other}.prov.json", f"{CHECKPOINT}.prov.json")
    assert Freshness(plan).verdict(CHECKPOINT).status is Status.STALE
    with pytest.raises(UserError, match="has no provenance record of its own"):
        make(plan, CELL)


def rerecord(path: str) -> None:
    """Forge the record so that it fits the file's bytes."""
    record = read_record(path)
    assert record is not None
    write_record(record.model_copy(update={"files": {path: file_record(Path(path))}}))


def test_a_cell_edited_by_hand_is_found_and_made_again(copy: Project) -> None:
    original = (copy.folder / CELL).read_bytes()
    copy.edit(CELL, '"images": 100', '"images": 99')
    assert "was edited" in copy.trigact("explain", CELL).stdout
    result = copy.run(CELL)
    assert result.returncode == 0, result.stdout
    assert (copy.folder / CELL).read_bytes() == original


def test_a_damaged_input_fails_a_run_in_one_sentence(copy: Project) -> None:
    flip_a_bit(copy.folder / CHECKPOINT)
    (copy.folder / CELL).unlink()
    result = copy.run(CELL)
    assert result.returncode != 0
    assert f"{CHECKPOINT} is damaged (its sha256 is not the recorded one): delete it and run again" in result.stdout
    assert "Traceback" not in result.stdout


@pytest.fixture
def held_lock(copy: Project) -> Iterator[None]:
    """Another process that holds the lock of the copy."""
    code = (
        "from trigger_activation.store.lock import RunLock; import time; lock = RunLock(); lock.acquire(); "
        "print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], cwd=copy.folder, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    yield
    holder.kill()
    holder.wait()


@pytest.mark.usefixtures("held_lock")
def test_a_second_run_at_once_is_refused_and_planning_beside_it_works(copy: Project) -> None:
    (copy.folder / CELL).unlink()
    before = copy.snapshot()
    result = copy.run(CELL)
    assert result.returncode != 0
    assert "another run (process " in result.stdout
    assert "wait until it ends, or stop it" in result.stdout
    assert copy.planned(CELL) == {"cell": 1}
    assert copy.trigact("explain", CELL).returncode == 0
    assert copy.snapshot() == before


def in_namespace(project: Project, mount: str) -> subprocess.CompletedProcess[str]:
    """Make one TAE set with another file system below results/taes."""
    (project.folder / "results/taes").rename(project.folder / "results/taes-elsewhere")
    (project.folder / "results/taes").mkdir()
    snakemake = " ".join(project.command(TAE, *QUIET))
    return project.execute([*UNSHARE, "sh", "-c", f"{mount} && exec {snakemake}"])


@pytest.mark.skipif(not can_mount(), reason="needs user namespaces to mount a small disk")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("size=20k", f"the disk is full while writing {TAE}: free some space and run again"),
        ("ro", "results/taes cannot be written to: check its permissions, or whether its disk is read-only"),
    ],
)
def test_full_and_read_only_disks_are_named(copy: Project, options: str, sentence: str) -> None:
    result = in_namespace(copy, f"mount -t tmpfs -o {options} tmpfs results/taes")
    assert result.returncode != 0
    assert sentence in result.stdout, result.stdout
    assert "Traceback" not in result.stdout


@pytest.mark.skipif(not can_mount(), reason="needs user namespaces to mount a read-only disk")
def test_a_read_only_results_folder_is_named(fresh: Project) -> None:
    (fresh.folder / "results").mkdir()
    snakemake = " ".join(fresh.command(TABLE, *QUIET))
    script = f"mount -t tmpfs -o ro tmpfs results && exec {snakemake}"
    result = fresh.execute([*UNSHARE, "sh", "-c", script])
    assert result.returncode != 0
    assert "cannot be written (Read-only file system)" in result.stdout, result.stdout
    assert "Traceback" not in result.stdout
