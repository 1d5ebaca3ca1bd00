"""Stages killed in the middle of their work, and run again."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.smoke_project import Project, make

from trigger_activation.plan import Plan, build_plan
from trigger_activation.plan.config import load_config
from trigger_activation.run.spec import write_spec
from trigger_activation.store.records import read_record

pytestmark = pytest.mark.workflow

SURROGATE = "results/checkpoints/smoke/vgg-s__standard/seed0.safetensors"
TAES = "results/taes/smoke/vgg-s__standard/seed0"
PURIFIED = "results/purified/smoke/clean/diffpure.npz"
DIFFUSION = "results/checkpoints/smoke/ddpm-xs__denoising/seed0.safetensors"
STAGE = """
import sys
from trigger_activation.store import scratch
from trigger_activation.run.worker import perform
scratch.INTERVAL = 0.0
perform(*sys.argv[1:])
"""
LOG = "stage.log"


LONGER = {
    "epochs: 2": "epochs: 8",
    "steps: 3, batch_size: 50": "steps: 3, batch_size: 10",
    "images: 100, batch_size: 50": "images: 100, batch_size: 10",
    "diffpure: {step: 0.05}": "diffpure: {step: 0.005}",
}


@pytest.fixture
def longer(fresh: Project, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The plan of trainings of many epochs and image sets of many batches; its data sets are there."""
    for old, new in LONGER.items():
        fresh.edit("config/protocols/smoke.yaml", old, new)
    monkeypatch.chdir(fresh.folder)
    plan = build_plan(load_config(Path("config")))
    for split in ("train", "test"):
        make(plan, f"results/datasets/fashion16/{split}.npz")
    return plan


def kill_at_work(plan: Plan, path: str) -> None:
    """Start a stage in a process of its own, and kill it at a random moment after it has saved something."""
    artifact = plan[path]
    command = [sys.executable, "-c", STAGE, str(write_spec(plan, artifact)), artifact.recipe, LOG]
    state = Path(f"results/scratch/{artifact.recipe}/state.pt")
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while not state.exists():
        assert process.poll() is None, Path(LOG).read_text()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.2))
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it was done too soon"
    assert not Path(path).exists()


def checks(path: str) -> dict[str, Any]:
    """What the record says, but for how fast it went."""
    record = read_record(path)
    assert record is not None
    return {name: value for name, value in record.checks.items() if name != "images_per_second"}


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("results/checkpoints/smoke/vgg-s__tdat/seed0.safetensors", []),
        (f"{TAES}/l2t.npz", [SURROGATE]),
        (PURIFIED, [DIFFUSION]),
    ],
)
def test_a_killed_stage_goes_on_and_ends_with_the_same_bytes(
    path: str, needed: list[str], longer: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in needed:
        make(longer, file)
    make(longer, path)
    expected, told = Path(path).read_bytes(), checks(path)
    for file in (path, f"{path}.prov.json"):
        Path(file).unlink()
    kill_at_work(longer, path)
    capsys.readouterr()
    make(longer, path)
    assert "continued from " in capsys.readouterr().out
    assert Path(path).read_bytes() == expected
    assert checks(path) == told
    assert not Path(f"results/scratch/{longer[path].recipe}").exists()
