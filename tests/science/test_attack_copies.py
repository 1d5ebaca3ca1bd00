"""Attacks that look at many copies: in passes of any size, within their memory, and without a trace afterwards."""

from __future__ import annotations

import copy
import importlib
import pkgutil
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.crafting import attack, close, craft, curved, directions, halves, random_batch, same, seeded
from trigger_activation.science import attacks
from trigger_activation.science._folding import foldable_pairs
from trigger_activation.science.attacks._copies import CopyingAttack, bytes_per_image, in_chunks
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.freezing import frozen

SHORT: dict[str, dict[str, Any]] = {
    "naa": {"layer": "body", "path_points": 8, "steps": 3},
    "rpa": {"layer": "body", "copies": 8, "steps": 3},
    "gra": {"neighbours": 8, "steps": 3},
    "vmifgsm": {"neighbours": 8, "steps": 3},
    "bsr": {"copies": 8, "steps": 3},
    "l2t": {"families": ["scale", "block_mask", "translate"], "paths": 2, "steps": 3},
}
pytestmark = pytest.mark.usefixtures("fixed_weights")
by_copies = pytest.mark.parametrize("name", SHORT)
by_features = pytest.mark.parametrize("name", ["naa", "rpa"])


def limit(monkeypatch: pytest.MonkeyPatch, images: int) -> None:
    monkeypatch.setattr(CopyingAttack, "images_at_once", lambda *_: images)


def passes(network: nn.Module) -> list[int]:
    """Sizes of the batches that the network will see."""
    sizes: list[int] = []
    network.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    return sizes


@by_copies
@pytest.mark.parametrize("at_once", [1, 2, 7])
class TestChunks:
    def test_the_gradient_does_not_depend_on_them(
        self, name: str, at_once: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """But for roundings: the order of sums within a layer depends on the size of the batch."""
        network, (images, labels) = curved(), random_batch()
        gradients = []
        for size in (10**6, at_once):
            limit(monkeypatch, size)
            rule = directions(attack(name, **SHORT[name]), network, images, labels)
            gradients.append(torch.stack([rule(images), rule(images)]))
        close(*gradients)

    def test_the_adversarial_images_do_not_depend_on_them(
        self, name: str, at_once: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nearly all pixels: where copies cancel each other to zero, a rounding can turn the sign of a step."""
        network, batch = curved(), random_batch()
        limit(monkeypatch, 10**6)
        expected = craft(name, network, *batch, **SHORT[name])
        limit(monkeypatch, at_once)
        equal = (craft(name, network, *batch, **SHORT[name]) - expected).abs() < 1e-9
        assert equal.double().mean() >= 0.995

    def test_no_pass_has_more_images(self, name: str, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
        network, batch = curved(), random_batch()
        limit(monkeypatch, at_once)
        sizes = passes(network)
        craft(name, network, *batch, **SHORT[name])
        assert max(sizes) <= at_once
        # Whole batches of three share a pass, or one is split.
        assert max(sizes) == (at_once // 3 * 3 if at_once >= 3 else at_once)


class TestInChunks:
    @pytest.mark.parametrize("at_once", range(1, 14))
    def test_results_come_in_the_order_of_the_copies(self, at_once: int) -> None:
        copies = [torch.arange(4.0).view(4, 1, 1, 1) + 10 * number for number in range(5)]
        calls: list[int] = []

        def evaluate(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            calls.append(len(images))
            return images.flatten() + 100 * labels, labels

        results = list(in_chunks(evaluate, iter(copies), torch.tensor([3, 1, 2, 0]), at_once))
        assert [sums.tolist() for sums, _ in results] == [
            [300 + number, 101 + number, 202 + number, 3 + number] for number in (0, 10, 20, 30, 40)
        ]
        assert all(labels.tolist() == [3, 1, 2, 0] for _, labels in results)
        assert max(calls) <= at_once
        assert sum(calls) == 20

    def test_copies_are_made_no_earlier_than_their_pass(self) -> None:
        made: list[int] = []

        def copies() -> Any:
            for number in range(6):
                made.append(number)
                yield torch.zeros(2, 3, 1, 1)

        results = in_chunks(lambda images, _labels: (images,), copies(), torch.zeros(2), 4)
        for seen in (2, 2, 4, 4, 6, 6):
            next(results)
            assert len(made) == seen


def saved_bytes(network: nn.Module, images: Tensor) -> int:
    """Of all tensors that the nodes of the graph behind the logits hold, and of the logits."""
    logits = network(images.clone().requires_grad_())
    nodes, seen, storages = [logits.grad_fn], set(), {}
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes.extend(parent for parent, _ in node.next_functions)
        for attribute in dir(node):
            value = getattr(node, attribute) if attribute.startswith("_saved_") else None
            if isinstance(value, Tensor):
                storages[value.untyped_storage().data_ptr()] = value.untyped_storage()
    return sum(storage.nbytes() for storage in storages.values()) + logits.nbytes


class TestMemory:
    @pytest.mark.parametrize("side", [8, 16])
    def test_bytes_of_an_image_counted_by_hand(self, side: int) -> None:
        """The image for the convolution, the ReLU's output, and ten logits, in single precision."""
        head = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(8 * side**2, 10))
        network = halves(head, nn.Conv2d(3, 8, 3, padding=1)).float()
        with frozen(network):
            assert bytes_per_image(network, torch.rand(5, 3, side, side)) == 4 * ((3 + 8) * side**2 + 10)

    def test_bytes_of_an_image_are_what_the_graph_saves(self, trained_network: nn.Module) -> None:
        images = torch.rand(3, 3, 16, 16)
        with frozen(trained_network):
            expected = saved_bytes(trained_network, images[:2]) - saved_bytes(trained_network, images[:1])
            assert bytes_per_image(trained_network, images) == expected > 4 * 3 * 256

    def test_counting_bytes_is_no_pass_and_leaves_no_gradients(self, trained_network: nn.Module) -> None:
        sizes = passes(trained_network)
        bytes_per_image(trained_network, torch.rand(3, 3, 16, 16))
        assert sizes == []
        assert all(parameter.grad is None for parameter in trained_network.parameters())

    def test_counting_bytes_leaves_nothing_in_memory(self, trained_network: nn.Module) -> None:
        """Neither what layers returned nor the folded weights, which the graph knows."""
        left: list[weakref.ref[Tensor]] = []
        for module in trained_network.modules():
            module.register_forward_hook(lambda _module, _inputs, output: left.append(weakref.ref(output)))
        with frozen(trained_network):
            bytes_per_image(trained_network, torch.rand(3, 3, 16, 16))
        assert left
        assert all(output() is None for output in left)

    @by_copies
    def test_a_pass_may_peak_at_twice_what_it_keeps(self, name: str, trained_network: nn.Module) -> None:
        images = torch.rand(3, 3, 16, 16)
        each = bytes_per_image(trained_network, images)
        for mib in (1, 5, 1024):
            at_once = attack(name, memory_mib=mib).images_at_once(trained_network, images)
            assert at_once * 2 * each <= mib * 2**20 < (at_once + 1) * 2 * each

    @by_copies
    def test_an_image_that_needs_more_than_all_memory_is_alone(self, name: str) -> None:
        network = halves(nn.Flatten(), nn.Sequential(nn.Conv2d(3, 64, 1), nn.Sigmoid()))
        assert attack(name, memory_mib=1).images_at_once(network, torch.rand(2, 3, 64, 64).double()) == 1

    @by_copies
    def test_no_pass_has_more_images_than_the_memory_holds(self, name: str) -> None:
        body = nn.Sequential(nn.Conv2d(3, 60, 3, padding=1), nn.Tanh())
        network = halves(nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(960, 5)), body)
        images, labels = random_batch(16, count=8)
        with frozen(network):
            # The image for the convolution, Tanh's output twice pooled to 16 values, five logits.
            each = 8 * ((3 + 60) * 256 + 5)
            assert bytes_per_image(network, images) == each
        sizes = passes(network)
        craft(name, network, images, labels, **{**SHORT[name], "memory_mib": 1, "steps": 1})
        assert max(sizes) == 2**20 // (2 * each) == 4


@pytest.mark.parametrize("name", ["gra", "vmifgsm", "bsr", "l2t"])
def test_a_zero_gradient_changes_nothing(name: str) -> None:
    network, (images, labels) = halves(nn.Sequential(nn.Flatten(), nn.Linear(192, 5))), random_batch()
    nn.init.zeros_(network.head[1].weight)
    assert torch.equal(craft(name, network, images, labels, **SHORT[name]), images)


def tracks(network: nn.Module) -> list[tuple[set[str], dict[str, list[int]]]]:
    """What an attack could leave behind in each module: attributes and hooks."""
    return [
        (set(vars(m)), {key: list(value) for key, value in vars(m).items() if "hook" in key and value})
        for m in network.modules()
    ]


def module_globals() -> dict[str, tuple[int, object]]:
    """Every global of the attacks' modules: which object it is, and a container's content."""
    found = {}
    for info in pkgutil.iter_modules(attacks.__path__, attacks.__name__ + "."):
        for key, value in vars(importlib.import_module(info.name)).items():
            content = copy.copy(value) if isinstance(value, list | dict | set) and not key.startswith("__") else None
            found[f"{info.name}.{key}"] = id(value), content
    return found


class BrokenError(Exception):
    """What a network raises in these tests."""


def break_after(network: nn.Module, count: int, error: type[BaseException]) -> Callable[[], None]:
    """Let the last layer fail after some passes; the result mends it."""
    remaining = iter(range(count))

    def fail(*_: object) -> None:
        if next(remaining, None) is None:
            raise error

    handle = network.get_submodule("head.0").register_forward_hook(fail)
    return handle.remove


@by_copies
class TestTraces:
    def test_none_are_left_after_an_attack(self, name: str) -> None:
        network, batch = curved(), random_batch()
        before = tracks(network), module_globals()
        craft(name, network, *batch, **SHORT[name])
        assert (tracks(network), module_globals()) == before

    @pytest.mark.parametrize("error", [BrokenError, KeyboardInterrupt])
    @pytest.mark.parametrize("after", [0, 1, 5])
    def test_none_are_left_after_a_failure(
        self, name: str, after: int, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        network, batch = curved(), random_batch()
        limit(monkeypatch, 3)
        expected = craft(name, network, *batch, **SHORT[name])
        before = tracks(network), module_globals()
        mend = break_after(network, after, error)
        with pytest.raises(error):
            craft(name, network, *batch, **SHORT[name])
        mend()
        assert (tracks(network), module_globals()) == before
        assert torch.equal(craft(name, network, *batch, **SHORT[name]), expected)

    def test_attacks_that_take_turns_do_not_disturb_each_other(self, name: str) -> None:
        network, (images, labels) = curved(), random_batch()
        others = [("naa", {"layer": "body.0"}), ("rpa", {"layer": "head.1"}), (name, SHORT[name])]

        def rules() -> list[Callable[[Tensor], Tensor]]:
            return [directions(attack(n, **c), network, images, labels) for n, c in others]

        alone = [torch.stack([rule(images), rule(images / 2)]) for rule in rules()]
        first, second, third = rules()
        taken: list[list[Tensor]] = [[], [], []]
        for source in (images, images / 2):
            for number, rule in ((2, third), (0, first), (1, second)):
                taken[number].append(rule(source))
        assert all(torch.equal(torch.stack(turns), each) for turns, each in zip(taken, alone, strict=True))


def normalised_network(body: nn.Module, *following: nn.Module) -> nn.Sequential:
    """A body, what follows it, and a head; batch normalisation with statistics of its own; double precision."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = nn.Sequential(*following, nn.Tanh(), nn.Flatten(), nn.Linear(256, 5))
        network = halves(head, body)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.reset_parameters()
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.1, 5)
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return network


def convolution() -> nn.Conv2d:
    return nn.Conv2d(3, 4, 3, padding=1)


@by_features
class TestLayers:
    @pytest.mark.parametrize(
        ("layer", "network"),
        [
            ("body", lambda: normalised_network(convolution(), nn.BatchNorm2d(4))),
            ("head.0", lambda: normalised_network(convolution(), nn.BatchNorm2d(4))),
            ("body", lambda: normalised_network(nn.Sequential(convolution()), nn.BatchNorm2d(4))),
            ("body", lambda: normalised_network(nn.Sequential(convolution(), nn.BatchNorm2d(4)))),
        ],
        ids=["a convolution", "its normalisation", "a module that ends in the convolution", "a module with both"],
    )
    def test_batch_normalisation_is_folded_without_changing_the_features(
        self, name: str, layer: str, network: Callable[[], nn.Sequential]
    ) -> None:
        """Adversarial images would not tell: the gradients of a layer and of a linear one behind it agree."""
        made, (images, labels) = network(), random_batch()
        assert len(foldable_pairs(made)) == 1
        inputs, features = [], []
        hooks = [
            made.body.register_forward_pre_hook(lambda _module, args: inputs.append(args[0].detach())),
            made.get_submodule(layer).register_forward_hook(lambda *args: features.append(args[2].detach())),
        ]
        attacker = attack(name, **{**SHORT[name], "layer": layer})
        attacker.perturb(made, images, labels, seeded())
        for hook in hooks:
            hook.remove()
        for seen, output in zip(inputs, features, strict=True):
            expected = made.body(seen) if layer == "body" else made.head[0](made.body(seen))
            close(output, expected.detach())

    def test_the_first_use_of_a_layer_counts(self, name: str) -> None:
        class Twice(nn.Module):
            def __init__(self, first: nn.Module, second: nn.Module) -> None:
                super().__init__()
                self.first, self.second = first, second
                self.rest = curved()

            def forward(self, images: Tensor) -> Tensor:
                logits: Tensor = self.rest(self.second(self.first(images) * 1.5))
                return logits

        shared, batch = nn.Tanh(), random_batch()
        expected = craft(name, Twice(nn.Tanh(), nn.Tanh()), *batch, layer="first")
        same(craft(name, Twice(shared, shared), *batch, layer="first"), expected)

    def test_later_layers_that_work_in_place_do_not_change_the_features(self, name: str) -> None:
        def network(inplace: bool) -> nn.Sequential:
            return normalised_network(convolution(), nn.ReLU(inplace=inplace))

        batch = random_batch()
        same(craft(name, network(True), *batch, layer="body"), craft(name, network(False), *batch, layer="body"))

    def test_a_trigger_belongs_to_the_network(self, name: str) -> None:
        class Shift(nn.Module):
            def forward(self, images: Tensor) -> Tensor:
                return images + trigger

        trigger = torch.rand(3, 8, 8, generator=seeded(), dtype=torch.float64) / 4
        network, batch = curved(), random_batch()
        parts = OrderedDict(shift=Shift(), body=network.body, head=network.head)
        expected = craft(name, nn.Sequential(parts), *batch, layer="body")
        same(craft(name, DeployedNetwork(network, trigger), *batch, layer="body"), expected)
        assert not torch.equal(expected, craft(name, network, *batch, layer="body"))
