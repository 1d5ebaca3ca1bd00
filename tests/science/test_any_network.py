"""Attacks and defenses on a network that no one here wrote, at 224 px, without a project, plan or Snakemake."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from tests.support.trainings import recipe, streams
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.evaluation.foreign import predicted_classes
from trigger_activation.science.preprocessing import PREPROCESSING
from trigger_activation.science.training.loop import train
from trigger_activation.science.training.paradigms import PARADIGMS

SIDE, CLASSES, IMAGES = 224, 7, 4
FEATURES = {"layer": "features.4"}
PARAMETERS: dict[str, dict[str, Any]] = {
    "naa": {"path_points": 2, **FEATURES},
    "rpa": {"copies": 2, **FEATURES},
    "gra": {"neighbours": 1},
    "vmifgsm": {"neighbours": 1},
    "bsr": {"copies": 1},
    "l2t": {"paths": 1, "operations": 1},
    "square": {"queries": 5},
    "eot": {"draws": 1},
}
"""What an attack must be told, or may be spared here."""
WITH_HELPERS = {"diffpgd"}
"""Attacks that ask a diffusion model."""
FILTERS: dict[str, dict[str, Any]] = {
    "jpeg": {"quality": 75},
    "bit_depth": {"depth": 4},
    "gaussian": {"sigma": 0.6, "window": 5},
    "resize_pad": {"scale": 1.1},
}


@cache
def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torchvision.models.mobilenet_v3_small(num_classes=CLASSES)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(IMAGES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def labels() -> Tensor:
    return torch.arange(IMAGES)


@pytest.mark.parametrize("name", [name for name in ATTACKS.names() if name not in WITH_HELPERS])
def test_an_attack_keeps_its_budget_and_leaves_the_network_as_it_was(name: str, images: Tensor, labels: Tensor) -> None:
    given = {"steps": 2, **PARAMETERS.get(name, {})}
    known = {key: value for key, value in given.items() if key in ATTACKS[name].model_fields}
    attack = ATTACKS[name](eps="8/255", **known)
    model = network().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    crafted = attack.perturb(model, images, labels, torch.Generator().manual_seed(0))
    assert crafted.shape == images.shape
    assert float(crafted.min()) >= 0
    assert float(crafted.max()) <= 1
    assert 0 < float((crafted - images).abs().max()) <= 8 / 255 + 1e-6
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", FILTERS)
def test_a_preprocessing_stands_in_front_of_it(name: str, images: Tensor) -> None:
    defense = PREPROCESSING[name](**FILTERS[name])
    said = predicted_classes(
        lambda batch: network()(defense.apply(batch, range(len(batch)))), images, CLASSES, 2, torch.device("cpu")
    )
    assert said.shape == (IMAGES,)


@pytest.mark.parametrize("paradigm", ["trigger_fixed", "trigger_learnable"])
def test_a_trigger_is_trained_into_it(paradigm: str, images: Tensor, labels: Tensor) -> None:
    given = {"trigger_fixed": {"trigger_eps": "64/255"}, "trigger_learnable": {"alpha": "32/255"}}[paradigm]
    model = torchvision.models.mobilenet_v3_small(num_classes=CLASSES)
    pixels = (images * 255).to(torch.uint8).permute(0, 2, 3, 1)
    trigger = train(model, PARADIGMS[paradigm](**given), pixels, labels, recipe(1, batch_size=IMAGES), streams())
    assert trigger is not None
    assert trigger.shape == (3, SIDE, SIDE)
    deployed = DeployedNetwork(model, trigger).eval()
    with torch.no_grad():
        assert torch.equal(deployed(images), model.eval()(images + trigger))
