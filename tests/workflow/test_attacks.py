"""Image sets of a real run: what their sidecars tell, and that none is written where something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.support.image_sets import TEST, adversarial_images, clean_images
from tests.support.smoke_project import Project, make
from torch.nn import functional

from trigger_activation.errors import UserError
from trigger_activation.plan import Plan, build_plan
from trigger_activation.plan.config import load_config
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.images import to_float
from trigger_activation.store.arrays import load_arrays
from trigger_activation.store.checkpoints import load_checkpoint
from trigger_activation.store.records import file_record, read_record, sidecar, write_record

pytestmark = pytest.mark.workflow

SURROGATE = "results/checkpoints/smoke/vgg-s__standard/seed0.safetensors"
TAES = "results/taes/smoke/vgg-s__standard/seed0"
HELPER = "results/checkpoints/smoke/nrp-full__pretrained/seed0.safetensors"
PURIFIED = "results/purified/smoke/clean/nrp.npz"

PASSES = {  # of smoke's three steps, by the counts of the papers
    "pgd": 3,
    "ifgsm": 3,
    "mifgsm": 3,
    "difgsm": 3,
    "gra": 3 * (1 + 4),
    "bsr": 3 * 4,
    "naa": 4 + 3,
    "rpa": 4 + 3,
    "diffpgd": 3,
}


@pytest.mark.parametrize("attack", PASSES)
def test_a_sidecar_counts_the_gradient_passes(plan: Plan, attack: str) -> None:
    record = read_record(f"{TAES}/{attack}.npz")
    assert record is not None
    assert record.recipe == plan[record.path].recipe
    assert record.checks["gradient_passes"] == PASSES[attack]
    assert ATTACKS.instance(record.parameters["attack"]).passes == PASSES[attack]  # what plans count
    assert record.checks["images_per_second"] > 0


def test_l2t_is_planned_with_about_102_passes_for_each_step() -> None:
    assert ATTACKS["l2t"](eps="8/255", steps=20).passes == pytest.approx(20 * 102, rel=0.02)


def test_a_sidecar_of_l2t_counts_whole_copies_of_the_batch(plan: Plan) -> None:
    record = read_record(f"{TAES}/l2t.npz")
    assert record is not None
    assert record.recipe == plan[record.path].recipe
    # Two batches of half the images, each with its own three draws of up to 225 copies.
    assert 3 <= record.checks["gradient_passes"] <= 3 * 225
    assert (2 * record.checks["gradient_passes"]) % 1 == 0


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize("attack", ["pgd", "naa"])
def test_a_sidecar_tells_what_the_attack_did_to_its_surrogate(attack: str) -> None:
    record, surrogate = read_record(f"{TAES}/{attack}.npz"), read_record(SURROGATE)
    assert record is not None
    assert surrogate is not None
    network = load_checkpoint(Path(SURROGATE), torch.device("cpu"), surrogate.parameters["network"])
    clean, adversarial = clean_images(100), adversarial_images(record.path)
    labels = torch.from_numpy(load_arrays(TEST, ("labels",))["labels"][:100])
    with torch.no_grad():
        before, after = (network(to_float(images)) for images in (clean, adversarial))
    checks = record.checks
    assert checks["loss_before"] == pytest.approx(float(functional.cross_entropy(before, labels)), abs=1e-4)
    assert checks["loss_after"] == pytest.approx(float(functional.cross_entropy(after, labels)), abs=1e-4)
    assert checks["white_box_accuracy"] == int((after.argmax(dim=1) == labels).sum())  # of 100 images
    assert checks["largest_change"] == int((adversarial.int() - clean.int()).abs().max())


def refused(plan: Plan, path: str) -> str:
    """The sentence that refuses to make an artifact, after checking that nothing was written."""
    Path(path).unlink(missing_ok=True)
    sidecar(path).unlink(missing_ok=True)
    before = set(Path("results").rglob("*.*"))
    with pytest.raises(UserError) as caught:
        make(plan, path)
    assert {file for file in Path("results").rglob("*.*") if "specs" not in file.parts} <= before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.usefixtures("plan")
def test_a_layer_that_the_surrogate_lacks_gives_no_tae_set(copy: Project) -> None:
    copy.edit("config/attacks/advanced_objective.yaml", "layer: stage2", "layer: features.99")
    assert "has no layer 'features.99'" in refused(build_plan(load_config(Path("config"))), f"{TAES}/naa.npz")


@pytest.mark.parametrize("attack", ["pgd", "naa", "l2t", "diffpgd"])
def test_a_surrogate_that_returns_nan_gives_no_tae_set(plan: Plan, attack: str) -> None:
    _spoil(SURROGATE)
    assert "returned NaN" in refused(plan, f"{TAES}/{attack}.npz")


def _spoil(checkpoint: str) -> None:
    """Replace all weights by NaN, with a record that belongs to them."""
    record = read_record(checkpoint)
    assert record is not None
    with safe_open(checkpoint, framework="pt") as file:
        metadata = file.metadata()
    tensors = {
        name: torch.full_like(tensor, torch.nan) if tensor.is_floating_point() else tensor
        for name, tensor in load_file(checkpoint).items()
    }
    save_file(tensors, checkpoint, metadata=metadata)
    write_record(record.model_copy(update={"files": {checkpoint: file_record(Path(checkpoint))}}))


@pytest.mark.usefixtures("plan")
def test_a_missing_file_of_others_stops_before_any_purified_set(copy: Project) -> None:
    copy.edit("config/protocols/smoke.yaml", "nrp_generator: nrp-xs", "nrp_generator: nrp-full")
    copy.edit("config/protocols/smoke.yaml", "    nrp-xs: {channels: 4, blocks: 1, ssp_iterations: 2, epochs: 1}\n", "")
    plan = build_plan(load_config(Path("config")))
    assert plan[PURIFIED].inputs["helper"] == (HELPER,)
    assert refused(plan, HELPER).startswith("results/external/NRP.pth is missing: get it from")
    assert refused(plan, PURIFIED).startswith(f"{HELPER}, an input of")
