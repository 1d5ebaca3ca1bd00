"""Stages on a GPU that is not there: nothing is made on the wrong device, and nothing meets what is on another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from tests.support.full_size import random_bytes
from tests.support.projects import shipped_config
from tests.support.smoke_project import new_project
from tests.support.virtual_gpu import GPU, GpuGenerator, GpuTensor, virtual_gpu
from trigger_activation.plan import Plan, build_plan
from trigger_activation.plan.graph import Artifact
from trigger_activation.run import devices
from trigger_activation.run.spec import write_spec
from trigger_activation.run.worker import perform
from trigger_activation.science.training.data import augmented_batches
from trigger_activation.science.training.settings import Augmentation


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build_plan(shipped_config())


@pytest.fixture
def gpu() -> Iterator[torch.device]:
    with virtual_gpu() as device:
        yield device


def kind_of_work(artifact: Artifact) -> tuple[str, ...]:
    """The stage, and the class of the algorithm that it runs."""
    named = (artifact.settings.get(role) for role in ("paradigm", "attack", "preprocessing", "purifier", "helper"))
    return artifact.kind.name, *(entry["class"] for entry in named if isinstance(entry, dict))


def one_of_each(plan: Plan) -> list[Artifact]:
    """Of the experiment ``smoke`` an artifact for every kind of work on a GPU, and what they are made of."""
    first: dict[tuple[str, ...], str] = {}
    for artifact in plan.of_experiment("smoke"):
        if artifact.kind.runs_networks:
            first.setdefault(kind_of_work(artifact), artifact.path)
    return list(plan.upstream(first.values()))


def test_every_kind_of_work_stays_on_its_device(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: torch.device
) -> None:
    monkeypatch.chdir(new_project(tmp_path / "project").folder)
    monkeypatch.setattr(devices, "leased_device", lambda: nullcontext(gpu))
    for artifact in one_of_each(plan):
        perform(str(write_spec(plan, artifact)), artifact.recipe, "stage.log")
        assert Path(artifact.path).exists()


@pytest.mark.parametrize("crop", ["pad", "resized"])
def test_batches_of_images_that_stay_in_their_file_arrive(gpu: torch.device, crop: str) -> None:
    images, labels = random_bytes(6, 20)
    augmentation = Augmentation(crop=crop, padding=1, horizontal_flip=True)
    streams = (GpuGenerator().manual_seed(seed) for seed in range(2))
    batches = list(augmented_batches(images, labels.to(gpu), 2, augmentation, *streams, side=16))
    assert [(batch.device, batch.shape, labels.device) for batch, labels in batches] == [(GPU, (2, 3, 16, 16), GPU)] * 3


class TestTheVirtualGpu:
    """Refuses what a real one refuses."""

    def test_tensors_of_two_devices(self, gpu: torch.device) -> None:
        with pytest.raises(RuntimeError, match="two devices"):
            torch.zeros(3, device=gpu) + torch.zeros(3)
        with pytest.raises(RuntimeError, match="two devices"):
            torch.nn.Linear(3, 2)(torch.zeros(1, 3, device=gpu))
        assert (torch.zeros(3, device=gpu) + torch.tensor(1.0)).device == GPU, "single numbers are no matter"

    def test_generators_of_another_device(self, gpu: torch.device) -> None:
        with pytest.raises(RuntimeError, match="generator"):
            torch.rand(3, generator=torch.Generator(), device=gpu)
        with pytest.raises(RuntimeError, match="generator"):
            torch.rand(3, generator=GpuGenerator())
        with pytest.raises(RuntimeError, match="generator"):
            torch.zeros(3, device=gpu).uniform_(generator=torch.Generator())

    def test_numpy(self, gpu: torch.device) -> None:
        with pytest.raises(TypeError, match="numpy"):
            torch.zeros(3, device=gpu).numpy()
        assert torch.ones(3, device=gpu).cpu().numpy().sum() == 3

    def test_gradients_come_back(self, gpu: torch.device) -> None:
        weight = torch.ones(3, requires_grad=True)
        (weight.to(gpu) * 2).sum().backward()
        assert torch.equal(weight.grad, torch.full((3,), 2.0)), "from the GPU to the CPU"
        assert not isinstance(weight.grad, GpuTensor)
