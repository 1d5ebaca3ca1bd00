"""The command for a GPU, dry: tiny settings on the CPU, where neither Snakemake nor DVC can be imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.projects import ROOT, Project, one_sentence
from trigger_activation.errors import UserError
from trigger_activation.run.offline import fitting_epochs, main, set_epochs
from trigger_activation.store.freshness import Freshness
from trigger_activation.store.records import read_record

ABSENT = ("snakemake", "dvc", "loky", "filelock", "pandas", "jinja2", "scipy", "matplotlib", "timm", "diffusers")
SCRIPT = "scripts/full_size_on_gpu.sh"
PROTOCOL = "protocols/cifar10-gpu.yaml"
TINY = "evaluation: {images: 20, batch_size: 20}\nseeds: {default: 1}\noverrides: {}\n"
NETWORKS = ("vgg-s", "resnet18-xs")


@pytest.fixture
def tiny(project: Project) -> Project:
    """The experiment with miniatures on a few images that the project brings."""
    for old, new in {
        "like: cifar10\n": "like: smoke\ntraining_images: 64\n",
        "dataset: cifar10-jpeg": f"{TINY}dataset: fashion16",
        "[resnet18, vgg19]": f"[{', '.join(NETWORKS)}]",
        "batch_size: 128": "batch_size: 16",
        "steps: 20, batch_size: 500": "steps: 2, batch_size: 10",
    }.items():
        project.replace(PROTOCOL, old, new)
    return project


def test_cells_and_speeds_are_made_where_there_is_only_pytorch(tiny: Project) -> None:
    for folder in ("scripts", "absent"):
        Path(folder).mkdir()
    shutil.copy(ROOT / SCRIPT, SCRIPT)
    Path("absent/sitecustomize.py").write_text(f"import sys; sys.modules.update(dict.fromkeys({ABSENT!r}))")
    path = f"{Path('absent').resolve()}:{ROOT / 'src'}"
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [SCRIPT, "--minutes", "0.1", "--batches", "1"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    speeds = json.loads(Path("results/gpu-speeds.json").read_text(encoding="utf-8"))["images per second"]
    assert tuple(speeds) == NETWORKS
    for found in speeds.values():
        assert set(found["attacks"]) == {"pgd", "mifgsm", "difgsm"}
        assert set(found["training"]) == {"standard", "fixed_64", "learn_16", "at"}
        ratios = found["cost over standard training"]
        assert ratios["standard"] == 1 < ratios["at"]
        assert {name.partition(",")[0] for name in found["standard training"]} == {"float32", "bfloat16"}
        assert all(isinstance(speed, float) for speed in found["standard training"].values())
    plan = tiny.plan()
    freshness = Freshness(plan)
    cells = [artifact for artifact in plan.of_experiment("cifar10-gpu") if artifact.kind.name == "cell"]
    assert len(cells) == 3 * 4
    assert all(freshness.verdict(cell.path).valid for cell in cells)
    record = read_record("results/checkpoints/cifar10-gpu/vgg-s__learn_16/seed0.safetensors")
    assert record is not None
    assert record.parameters["training"]["precision"] == "bfloat16"
    assert f"{record.parameters['training']['epochs']} epochs fit" in result.stdout


def test_as_many_epochs_are_trained_as_fit_beside_the_attacks(tiny: Project) -> None:
    plan = tiny.plan()
    speeds = {
        network: {
            "training": {"standard": 64.0, "fixed_64": 32.0, "learn_16": 32.0},
            "attacks": dict.fromkeys(("pgd", "mifgsm", "difgsm"), 100.0),
        }
        for network in NETWORKS
    }
    # An epoch of all six trainings takes 2 * (1 + 2 + 2) seconds, the six sets of 20 images 1.2.
    epochs = [
        fitting_epochs(plan, "cifar10-gpu", speeds, 0, 1.15 * seconds) for seconds in (1.2 + 10.01, 1.2 + 39.9, 1)
    ]
    assert epochs == [1, 3, 1]
    set_epochs(Path("config") / PROTOCOL, 7)
    trained = tiny.plan()["results/checkpoints/cifar10-gpu/vgg-s__standard/seed0.safetensors"]
    assert trained.parameters.training.epochs == 7
    with pytest.raises(UserError, match="has 0 lines `  epochs: <number>`: give it one under `training`"):
        set_epochs(Path("config/config.yaml"), 7)


def test_missing_images_are_asked_for_before_anything_is_timed(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    del project
    assert main([]) == 1
    assert "results/external/cifar10-jpeg/train is missing: put images as" in one_sentence(
        capsys.readouterr().out.strip()
    )
