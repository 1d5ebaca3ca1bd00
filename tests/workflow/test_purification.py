"""Purified sets of a real run: made once, shared by all victims, and what they cost."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from tests.support.smoke_project import make

from trigger_activation.plan import Plan
from trigger_activation.science.preprocessing import PREPROCESSING
from trigger_activation.store.arrays import load_arrays
from trigger_activation.store.records import read_record

pytestmark = pytest.mark.workflow

PASSES = {"nrp": 1, "diffpure": 2}  # 0.1 / 0.05 steps


@pytest.mark.parametrize("purifier", PASSES)
def test_no_purifier_runs_inside_a_cell_job(plan: Plan, purifier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def purify(*_: object) -> NoReturn:
        raise AssertionError(f"{purifier} ran")

    monkeypatch.setattr(PREPROCESSING[purifier], "apply", purify)
    path = Path(f"results/cells/smoke/standard/pgd/{purifier}.json")
    before = path.read_bytes()
    path.unlink()
    make(plan, str(path))
    assert path.read_bytes() == before
    with pytest.raises(AssertionError, match="ran"):
        make(plan, f"results/purified/smoke/vgg-s__standard/seed0/pgd__{purifier}.npz")


@pytest.mark.parametrize("purifier", PASSES)
def test_each_image_set_is_purified_once(plan: Plan, purifier: str) -> None:
    folder = "results/purified/smoke"
    surrogates = [f"{network}__standard/seed{seed}" for network in ("vgg-s", "resnet18-xs") for seed in range(2)]
    taes = {f"{folder}/{surrogate}/pgd__{purifier}.npz" for surrogate in surrogates}
    made = {path for path in plan.artifacts if path.startswith(folder) and purifier in path}
    assert made == {f"{folder}/clean/{purifier}.npz", *taes}


@pytest.mark.parametrize("purifier", PASSES)
def test_a_sidecar_says_what_purification_cost(plan: Plan, purifier: str) -> None:
    path = f"results/purified/smoke/clean/{purifier}.npz"
    record = read_record(path)
    assert record is not None
    assert record.recipe == plan[path].recipe
    assert record.checks["network_passes"] == PASSES[purifier]
    assert PREPROCESSING.instance(record.parameters["purifier"]).helper_calls == PASSES[purifier]  # what plans count
    assert record.checks["images_per_second"] > 0
    assert record.environment is not None
    assert record.environment.cpu_seconds > 0
    before = load_arrays(Path("results/datasets/fashion16/test.npz"), ("images",))["images"][:100].astype(float)
    after = load_arrays(Path(path), ("images",))["images"].astype(float)
    assert record.checks["mean_change"] == pytest.approx(np.abs(after - before).mean(), rel=1e-5)
