"""Every attack on every family of networks, and attacks on features at the layers that the families name."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.architectures import ENTRIES, FIRST_STAGE, MINIATURE, SECOND_STAGE, family
from tests.support.crafting import EPS, attack, hooked_gradient, layer_output, seeded, short
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.networks import NETWORKS, NetworkFamily

QUICK: dict[str, dict[str, Any]] = {
    "naa": {"path_points": 2},
    "rpa": {"copies": 4},
    "gra": {"neighbours": 1},
    "vmifgsm": {"neighbours": 1},
    "bsr": {"copies": 1},
    "l2t": {"paths": 1, "operations": 1},
}
# Above 64 px torchvision's VGG has its classifier of 120 million weights, which nothing here needs.
WIDE_VGG = "vgg at 224 px"
NETWORK_SIZES = [
    *((name, side) for name in MINIATURE for side in (16, 32)),
    *((name, 224) for name in MINIATURE if not name.startswith("vgg-")),
    (WIDE_VGG, 224),
    ("inception_v4", 80),
]
LAYER_SIZES = [
    *((feature_attack, name, side) for feature_attack in ("naa", "rpa") for name in MINIATURE for side in (16, 32)),
    ("naa", "mobilenet_v2", 32),
    ("naa", "inception_v4", 80),
]
SCORES = {"naa": "probability", "rpa": "logit"}


def of_family(name: str) -> NetworkFamily:
    if name == WIDE_VGG:
        return NETWORKS["vgg"](configuration=[8, "M", 8, "M", 16, 16, "M", 32, "M", 512, "M"])
    return family(name)


@cache
def built(name: str, side: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if name != WIDE_VGG:
            return of_family(name).build(side, 10).eval()
        with torch.device("meta"):
            network = of_family(name).build(side, 10)
        network.classifier = nn.Linear(512 * 7 * 7, 10)  # type: ignore[assignment]
        network.to_empty(device="cpu")
        for module in network.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        return network.eval()


def random_images(side: int) -> Tensor:
    return torch.rand(1, 3, side, side, generator=seeded())


@pytest.mark.parametrize(("network", "side"), NETWORK_SIZES)
@pytest.mark.parametrize("name", ATTACKS.names())
def test_every_attack_runs_on_every_family(name: str, network: str, side: int) -> None:
    images, labels = random_images(side), torch.tensor([3])
    attacker = attack(name, **short(name, steps=1), **QUICK.get(name, {})).for_network(of_family(network))
    adversarial = attacker.perturb(built(network, side), images, labels, seeded())
    changes = (adversarial - images).abs()
    assert adversarial.shape == images.shape
    assert changes.max() <= float(EPS) + 1e-6
    assert (changes > 0).double().mean() > 0.5
    assert adversarial.min() >= 0
    assert adversarial.max() <= 1


@pytest.mark.parametrize(("stage", "table"), [("stage1", FIRST_STAGE), ("stage2", SECOND_STAGE)])
@pytest.mark.parametrize(("name", "network", "side"), LAYER_SIZES)
def test_features_are_those_of_the_layer_in_the_table(
    name: str, network: str, side: int, stage: str, table: dict[str, Any]
) -> None:
    """One step against the signs that hooks on that layer give; a gradient near zero may have either sign."""
    made = built(network, side).double()
    images, labels, layer = random_images(side).double(), torch.tensor([3]), table[network][0]
    attacker = attack(name, steps=1, layer=stage, **QUICK[name]).for_network(family(network))
    copies = attacker.altered(images, seeded())
    weights = sum(hooked_gradient(made, layer, copy, labels, SCORES[name]) for copy in copies)
    source = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((weights * layer_output(made, layer, source)).sum(), source)
    expected = (images - float(EPS) * gradient.sign()).clamp(0, 1)
    adversarial = attacker.perturb(made, images, labels, seeded())
    made.float()
    assert ((adversarial - expected).abs() < 1e-6).double().mean() > 0.999
    assert (gradient != 0).double().mean() > 0.9


@pytest.mark.parametrize("network", ENTRIES)
def test_the_two_stages_are_different_layers(network: str) -> None:
    layers = [attack("naa", layer=stage).for_network(family(network)).layer for stage in ("stage1", "stage2")]
    assert layers == [FIRST_STAGE[network][0], SECOND_STAGE[network][0]]
    assert layers[0] != layers[1]


def test_a_layer_given_by_name_is_attacked_in_every_family() -> None:
    for network in ENTRIES:
        assert attack("rpa", layer="features.3").for_network(family(network)).layer == "features.3"
