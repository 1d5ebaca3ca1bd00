"""Sizes, shapes and feature layers of the networks in config, against published and torchvision counts."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from typing import Any, Literal

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.support.architectures import ENTRIES, FIRST_STAGE, FULL, MINIATURE, SECOND_STAGE, family
from tests.support.projects import shipped_config
from trigger_activation.parameters import resolved
from trigger_activation.science._folding import foldable_pairs, folded
from trigger_activation.science.networks import NETWORKS

COUNTS = {  # small images and 10 classes, small images and 100 classes, 224 px and 100 classes
    "resnet18": (11_173_962, 11_220_132, 11_227_812),
    "resnet50": (23_520_842, 23_705_252, 23_712_932),
    "vgg19": (20_040_522, 20_086_692, 139_990_948),
    "mobilenet_v2": (2_236_682, 2_351_972, 2_351_972),
    "densenet121": (6_956_298, 7_048_548, 7_056_356),
    "inception_v4": (None, None, 41_296_516),
    "resnet18-xs": (78_002, 83_852, None),
    "resnet50-xs": (130_002, 153_132, None),
    "vgg-s": (34_906, 39_316, None),
    "mobilenet-xs": (54_330, 169_620, None),
    "densenet-xs": (20_266, 23_236, None),
    "vgg-m": (284_106, 295_716, None),
    "resnet18-s": (174_310, 183_040, None),
    "densenet-s": (40_618, 45_568, None),
}
IMAGE_SIZES = [
    *((name, size) for name in ENTRIES if name != "inception_v4" for size in (16, 28, 32)),
    *((name, 224) for name in FULL),
]


@cache
def on_meta(name: str, image_size: int, classes: int = 100) -> nn.Module:
    with torch.device("meta"):
        return family(name).build(image_size, classes).eval()


def real(name: str, image_size: int = 16, classes: int = 10, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return family(name).build(image_size, classes)


@torch.no_grad()
def output_shape(network: nn.Module, side: int, device: str = "meta") -> tuple[int, ...]:
    return tuple(network(torch.zeros(2, 3, side, side, device=device)).shape)


def feature_shape(network: nn.Module, module: str, side: int) -> tuple[int, ...]:
    shapes: list[tuple[int, ...]] = []
    hook = network.get_submodule(module).register_forward_hook(lambda *seen: shapes.append(tuple(seen[2].shape)))
    output_shape(network, side)
    hook.remove()
    return shapes[0]


def test_config_entries_are_complete() -> None:
    assert set(COUNTS) == set(FIRST_STAGE) == set(SECOND_STAGE) == set(ENTRIES)
    assert all(set(entry) - {"relative_cost"} == {"class", "label", "parameters"} for entry in ENTRIES.values())
    assert {entry["class"] for entry in ENTRIES.values()} == set(NETWORKS.names())


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name: str) -> None:
    for expected, size, classes in zip(COUNTS[name], (32, 32, 224), (10, 100, 100), strict=True):
        if expected:
            assert sum(p.numel() for p in on_meta(name, size, classes).parameters()) == expected


@pytest.mark.parametrize(("name", "size"), IMAGE_SIZES)
def test_accepts_its_images_and_slightly_larger_ones(name: str, size: int) -> None:
    for side in (size, {16: 19, 28: 33, 32: 38, 224: 246}[size]):
        assert output_shape(on_meta(name, size), side) == (2, 100)


@pytest.mark.parametrize("name", ["mobilenet_v2", "inception_v4"])
def test_real_forward_at_224(name: str) -> None:
    assert output_shape(real(name, 224, 100).eval(), 224, "cpu") == (2, 100)


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize(("stage", "table"), [(1, FIRST_STAGE), (2, SECOND_STAGE)])
def test_feature_layer(stage: Literal[1, 2], table: dict[str, Any], name: str) -> None:
    module, *shapes = table[name]
    for size, shape in zip((32, 224), shapes, strict=True):
        assert family(name).feature_layer(stage) == module
        assert shape is None or feature_shape(on_meta(name, size), module, size) == (2, *shape)


@pytest.mark.parametrize("name", MINIATURE)
@pytest.mark.parametrize("classes", [10, 100])
def test_miniatures_train_and_evaluate_deterministically(name: str, classes: int) -> None:
    network, images = real(name, classes=classes), torch.rand(4, 3, 16, 16)
    assert network.training
    network(images).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    network.eval()
    assert torch.equal(network(images), network(images))
    torch.testing.assert_close(network(images)[:1], network(images[:1]))


@pytest.mark.parametrize("name", MINIATURE)
def test_weights_depend_on_the_seed_alone(name: str) -> None:
    first, again, other = (real(name, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", ["resnet18-xs", "vgg-s", "densenet-xs"])
def test_convolutions_start_with_torchvision_variances(name: str) -> None:
    for module in real(name).modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 1000:
            channels = module.in_channels if name == "densenet-xs" else module.out_channels
            expected = (2 / channels / module.weight[0, 0].numel()) ** 0.5
            assert module.weight.std().item() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("name", ENTRIES)
def test_no_normalisation_of_the_input(name: str) -> None:
    network = on_meta(name, 224 if name == "inception_v4" else 32)
    assert not [module for module in network.modules() if "Normalize" in type(module).__name__]


def test_mobilenet_has_dropout_for_large_images_only() -> None:
    assert [on_meta("mobilenet_v2", size).get_submodule("classifier.0").p for size in (32, 224)] == [0.0, 0.2]


def test_inception_accepts_what_smallest_image_says() -> None:
    smallest, network = NETWORKS["inception"].smallest_image, on_meta("inception_v4", 224)
    assert smallest > 32
    assert output_shape(network, smallest) == (2, 100)
    with pytest.raises(RuntimeError, match=r"too small|can't be greater"):
        output_shape(network, smallest - 1)


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("resnet", {"block": "basic", "layers": [2, 2]}, "four stages"),
        ("resnet", {"block": "basic", "layers": [2, 2, 0, 2]}, "greater than 0"),
        ("vgg", {"configuration": [8, "M", 8, "M"]}, "three or more blocks"),
        ("vgg", {"configuration": [8, "M", "M", 8, "M"]}, "convolution in each block"),
        ("mobilenet", {"stages": [[1, 16, 1, 1], [6, 24, 2, 2]]}, "three or more stages of stride 2"),
        ("densenet", {"growth_rate": 4, "block_config": [2], "init_features": 8}, "two to five blocks"),
    ],
)
def test_senseless_parameters_are_refused(name: str, parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        NETWORKS[name](**parameters)


def test_narrow_vgg_is_refused_above_64_px() -> None:
    with pytest.raises(ValueError, match="512 channels, but this ends in 48"):
        family("vgg-s").build(224, 10)


@pytest.mark.parametrize("name", ENTRIES)
def test_resolved_parameters_build_the_same_family(name: str) -> None:
    assert NETWORKS[ENTRIES[name]["class"]](**resolved(family(name))) == family(name)


def test_registering_the_networks_does_not_import_torch() -> None:
    code = "import sys; from trigger_activation.science.networks import NETWORKS; NETWORKS.names(); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {"torch", "torchvision", "timm", "numpy"}.isdisjoint(modules.split())


class TestFolding:
    """Batch normalisation inside convolutions: the same function, and no trace afterwards."""

    @pytest.mark.parametrize("name", ["vgg-s", "resnet18-xs", "mobilenet-xs", "densenet-xs", "resnet50-xs"])
    def test_keeps_the_function(self, name: str) -> None:
        network = _with_random_statistics(name)
        images = torch.rand(4, 3, 32, 32)
        before, attributes = network(images), [set(vars(module)) for module in network.modules()]
        with folded(network):
            torch.testing.assert_close(network(images), before, atol=1e-5, rtol=1e-4)
        assert torch.equal(network(images), before)
        assert [set(vars(module)) for module in network.modules()] == attributes

    @pytest.mark.parametrize("name", ["resnet18", "vgg19"])
    def test_keeps_the_gradients_of_a_wide_network(self, name: str) -> None:
        network = _with_random_statistics(name)
        images = torch.rand(2, 3, 32, 32, requires_grad=True)
        before = torch.autograd.grad(network(images).square().sum(), images)[0]
        with folded(network):
            after = torch.autograd.grad(network(images).square().sum(), images)[0]
        torch.testing.assert_close(after, before, atol=1e-3 * before.abs().max().item(), rtol=0)

    def test_reads_the_weights_anew_each_time(self) -> None:
        network, images = _with_random_statistics("vgg-s"), torch.rand(2, 3, 32, 32)
        with folded(network):
            network(images)
        for parameter in network.parameters():
            parameter.data.mul_(1.1)
        with folded(network):
            again = network(images)
        torch.testing.assert_close(again, network(images), atol=1e-5, rtol=1e-4)

    def test_leaves_alone_an_output_that_is_read_twice(self) -> None:
        class Shared(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.convolution, self.normalisation = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

            def forward(self, images: torch.Tensor) -> torch.Tensor:
                features = self.convolution(images)
                return features + self.normalisation(features)

        assert foldable_pairs(Shared()) == []

    def test_runs_networks_that_cannot_be_traced_as_they_are(self) -> None:
        class Branching(nn.Module):
            def forward(self, images: torch.Tensor) -> torch.Tensor:
                return images if images.sum() > 0 else -images

        with folded(Branching()) as network:
            assert torch.equal(network(torch.ones(1)), torch.ones(1))


def _with_random_statistics(name: str) -> nn.Module:
    variant = shipped_config().networks[name]
    network = NETWORKS[variant.class_](**variant.parameters).build(32, 10).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.bias)
    return network
