"""Training in bfloat16: passes compute in it, what they are taken from and lead to stays in float32."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.projects import Project
from tests.support.trainings import bits_equal, recipe, streams
from trigger_activation.science.freezing import frozen
from trigger_activation.science.precision import InBfloat16
from trigger_activation.science.training.loop import train
from trigger_activation.science.training.paradigms import PARADIGMS
from trigger_activation.science.training.settings import TrainingSettings

GIVEN: dict[str, dict[str, Any]] = {
    "adversarial": {"eps": "8/255", "steps": 2, "step_size": "2/255"},
    "ensemble_adversarial": {"eps": "8/255", "surrogate_seeds": [100]},
    "noise_augmentation": {"noise_eps": "64/255"},
    "rat": {"eps": "8/255", "steps": 2, "step_size": "2/255"},
    "standard": {},
    "tdat": {"eps": "8/255", "gamma_min": 0.15, "regularisation": 0.6},
    "trigger_fixed": {"trigger_eps": "64/255"},
    "trigger_learnable": {"alpha": "4/255", "moving_share": 1.0},
}
Data = tuple[Tensor, Tensor]


def stepped(network: nn.Module, name: str, data: Data, precision: str) -> tuple[nn.Module, Tensor | None, float]:
    """A copy of the network after one step, its trigger, and its loss."""
    network, losses = copy.deepcopy(network), []
    settings = recipe(1, precision=precision)
    paradigm = PARADIGMS[name](**GIVEN[name])
    trigger = train(network, paradigm, *data, settings, streams(), lambda report: losses.append(report.loss))
    return network, trigger, losses[0]


@pytest.fixture
def data(fashion16_train: Data) -> Data:
    """One batch."""
    return fashion16_train[0][:64], fashion16_train[1][:64]


def test_every_paradigm_is_tried() -> None:
    assert set(GIVEN) == set(PARADIGMS.names())


@pytest.mark.parametrize("name", GIVEN)
def test_a_step_differs_by_roundings(name: str, fresh_network: nn.Module, data: Data) -> None:
    """By some per cent of the step, after several layers each with rounding errors of 0.4 %.

    RAT crafts from noise of 0.001, which moves logits less than that: the signs of its first step are left to chance.
    """
    expected, trigger, expected_loss = stepped(fresh_network, name, data, "float32")
    network, rounded_trigger, loss = stepped(fresh_network, name, data, "bfloat16")
    start, exact, rounded = (
        torch.cat([parameter.detach().flatten() for parameter in each.parameters()])
        for each in (fresh_network, expected, network)
    )
    assert loss == pytest.approx(expected_loss, rel=0.02)
    share = (rounded - exact).norm() / (exact - start).norm()
    assert 0 < share < (0.3 if name == "rat" else 0.1)
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32, torch.int64}
    assert {parameter.grad.dtype for parameter in network.parameters()} == {torch.float32}
    if trigger is not None:
        assert rounded_trigger.dtype == torch.float32
        assert (rounded_trigger == trigger).double().mean() > 0.9


def test_passes_compute_in_bfloat16_and_logits_come_in_float32(fresh_network: nn.Module, data: Data) -> None:
    seen: list[torch.dtype] = []
    fresh_network.features[0].register_forward_hook(lambda *found: seen.append(found[2].dtype))
    logits: list[torch.dtype] = []

    class Watching(PARADIGMS["standard"]):  # type: ignore[misc]
        def loss(self, network: nn.Module, images: Tensor, labels: Tensor, *_: Any) -> Tensor:
            found = network(images)
            logits.append(found.dtype)
            return functional.cross_entropy(found, labels)

    train(fresh_network, Watching(), *data, recipe(1, precision="bfloat16"), streams())
    assert (seen, logits) == ([torch.bfloat16], [torch.float32])


def test_the_same_streams_give_the_same_bits(fresh_network: nn.Module, data: Data) -> None:
    first, second = (stepped(fresh_network, "trigger_learnable", data, "bfloat16")[0] for _ in range(2))
    assert bits_equal(first, second)


def test_frozen_networks_send_gradients_to_images(fixed_weights: None) -> None:
    """In float32, with batch normalisation folded."""
    del fixed_weights
    layers = [layer for wide in (3, 256) for layer in (nn.Conv2d(wide, 256, 3, padding=1), nn.BatchNorm2d(256))]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))
    gradients = []
    for each in (network, InBfloat16(network, "cpu")):
        images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
        with frozen(each):
            gradients += torch.autograd.grad(each(images)[:, 0].sum(), images)
    exact, rounded = gradients
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).norm() < 0.1 * exact.norm()


class TestRecipes:
    def test_name_bfloat16_alone(self) -> None:
        plain, other = (recipe(1, **given).model_dump(mode="json") for given in ({}, {"precision": "bfloat16"}))
        assert "precision" not in plain
        assert other == {**plain, "precision": "bfloat16"}
        assert [TrainingSettings.model_validate(each).precision for each in (plain, other)] == ["float32", "bfloat16"]

    def test_change_with_the_precision_of_a_protocol(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        project = Project.small(tmp_path)
        recipes = []
        for precision in (None, "float32", "bfloat16"):
            if precision:
                with project.edited("protocols/mini.yaml") as protocol:
                    protocol["training"]["precision"] = precision
            plan = project.plan()
            recipes.append({path: a.recipe for path, a in plan.artifacts.items() if a.kind.name == "checkpoint"})
        assert recipes[0] == recipes[1]
        assert all(recipes[2][path] != recipe for path, recipe in recipes[0].items())
