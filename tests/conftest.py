"""What several tests share: one core, real images, and networks and a run that are made once per session."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

from tests.support.pages import gallery
from tests.support.smoke_project import Project, new_project
from tests.support.trainings import CONFIG, recipe, streams, vgg_s
from trigger_activation.plan import Plan
from trigger_activation.plan.kinds import EXTERNAL
from trigger_activation.science.datasets import DATASETS, Split
from trigger_activation.science.training.loop import train
from trigger_activation.science.training.paradigms import PARADIGMS, Paradigm

pytest_plugins = ["tests.support.folders", "tests.faults.tally"]

PROGRAMS = {
    "latex": ("pdflatex", "pdftotext"),
    "browser": ("chromium",),
    "slurm": ("munged", "slurmctld", "slurmd", "srun"),
}
"""Marker of tests -> what must be installed for them."""

# Two threads on a busy machine wait for each other, and one makes sums come out in the same order everywhere.
torch.set_num_threads(1)


def installed(program: str) -> bool:
    """Whether a program is there, be it among those of the system's administrator."""
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is not None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a program that is not installed; with CI_REQUIRE_PROGRAMS=1 that is a failure, but for SLURM."""
    for marker, programs in PROGRAMS.items():
        absent = [program for program in programs if item.get_closest_marker(marker) and not installed(program)]
        if absent and marker != "slurm" and os.environ.get("CI_REQUIRE_PROGRAMS") == "1":
            pytest.fail(f"{absent[0]} is not installed, but CI_REQUIRE_PROGRAMS=1 asks for it")
        if absent:
            pytest.skip(f"{absent[0]} is not installed")


def _fashion16(split: Split) -> tuple[Tensor, Tensor]:
    entry = yaml.safe_load((CONFIG / "datasets/embedded.yaml").read_text("utf-8"))["fashion16"]
    data = DATASETS[entry["class"]](**entry["parameters"]).load(split, EXTERNAL)
    return torch.from_numpy(data.images), torch.from_numpy(data.labels)


def _fresh_vgg_s() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return vgg_s().build(16, 10)


def _trained(paradigm: Paradigm, data: tuple[Tensor, Tensor], epochs: int) -> tuple[nn.Module, Tensor | None]:
    network = _fresh_vgg_s()
    trigger = train(network, paradigm, *data, recipe(epochs), streams())
    return network.eval(), trigger


@pytest.fixture
def fixed_weights() -> Iterator[None]:
    """Layers that the test makes start with the same weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="session")
def fashion16_train() -> tuple[Tensor, Tensor]:
    """2,000 real training images, uint8 (N, 16, 16, 3), and their labels."""
    images, labels = _fashion16("train")
    return images[:2000], labels[:2000]


@pytest.fixture(scope="session")
def fashion16_test() -> tuple[Tensor, Tensor]:
    """500 real test images, uint8 (N, 16, 16, 3), and their labels."""
    images, labels = _fashion16("test")
    return images[:500], labels[:500]


@pytest.fixture
def fresh_network() -> nn.Module:
    """An untrained miniature VGG for 16 px and 10 classes, in training mode."""
    return _fresh_vgg_s()


@pytest.fixture(scope="session")
def _standard(fashion16_train: tuple[Tensor, Tensor]) -> nn.Module:
    images, labels = fashion16_train
    return _trained(PARADIGMS["standard"](), (images[:1000], labels[:1000]), epochs=3)[0]


@pytest.fixture
def trained_network(_standard: nn.Module) -> nn.Module:
    """A miniature VGG after some standard training, in evaluation mode; every test gets its own copy."""
    return copy.deepcopy(_standard)


@pytest.fixture(scope="session")
def _with_fixed_trigger(fashion16_train: tuple[Tensor, Tensor]) -> tuple[nn.Module, Tensor]:
    network, trigger = _trained(PARADIGMS["trigger_fixed"](trigger_eps="64/255"), fashion16_train, epochs=5)
    assert trigger is not None
    return network, trigger


@pytest.fixture
def triggered_network(_with_fixed_trigger: tuple[nn.Module, Tensor]) -> tuple[nn.Module, Tensor]:
    """A miniature VGG trained with a fixed trigger of 64/255, and that trigger; every test gets its own copy."""
    return copy.deepcopy(_with_fixed_trigger)


@pytest.fixture(scope="session")
def results_page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    """A plan and its experiment's rendered page, of invented measurements; tests must not change what they find."""
    return gallery(tmp_path_factory.mktemp("gallery"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run of the smoke experiment through the real Snakefile; tests must not change it."""
    project = new_project(tmp_path_factory.mktemp("smoke"))
    result = project.run()
    assert result.returncode == 0, result.stdout
    return project
