"""Batch normalisation folded into convolutions, while a network is frozen: the same function, in fewer operations."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn
from torch.fx import GraphModule, Node, symbolic_trace
from torch.nn.utils.fusion import fuse_conv_bn_weights

Pair = tuple[str, str]
"""Dotted names of a convolution and of the batch normalisation that alone reads its output."""

_pairs: WeakKeyDictionary[nn.Module, list[Pair]] = WeakKeyDictionary()
"""Remembered, since tracing costs as much as many batches of a small network."""


def foldable_pairs(network: nn.Module) -> list[Pair]:
    """The convolutions of a network whose batch normalisation can be folded into them.

    Empty for networks that cannot be traced, which then run as they are.
    """
    if network not in _pairs:
        try:
            _pairs[network] = _traced_pairs(symbolic_trace(network))
        except Exception:  # Tracing runs the network's own code, so anything may be raised.
            _pairs[network] = []
    return _pairs[network]


def _traced_pairs(traced: GraphModule) -> list[Pair]:
    calls = [node for node in traced.graph.nodes if node.op == "call_module"]
    uses = Counter(str(node.target) for node in calls)
    modules = dict(traced.named_modules())
    pairs = []
    for node in calls:
        source = node.args[0] if node.args else None
        if not isinstance(source, Node) or source.op != "call_module" or len(source.users) != 1:
            continue
        pair = str(source.target), str(node.target)
        if _can_fold(modules[pair[0]], modules[pair[1]]) and uses[pair[0]] == uses[pair[1]] == 1:
            pairs.append(pair)
    return pairs


def _can_fold(convolution: nn.Module, normalisation: nn.Module) -> bool:
    kinds = type(convolution) is nn.Conv2d and type(normalisation) is nn.BatchNorm2d
    return kinds and bool(normalisation.track_running_stats)


@contextmanager
def folded(network: nn.Module, intact: nn.Module | None = None) -> Iterator[nn.Module]:
    """Run a network in evaluation mode with its batch normalisation folded; parameters and buffers stay untouched.

    The weights are folded as they are on entry, so they must not change inside. A folded convolution returns what its
    normalisation would. Someone looks at the output of the module ``intact``, so convolutions in it are left alone
    whose normalisation is outside it.
    """
    pairs = [tuple(map(network.get_submodule, names)) for names in foldable_pairs(network)]
    observed = set(intact.modules()) if intact is not None else set()
    pairs = [pair for pair in pairs if not (pair[0] in observed and pair[1] not in observed)]
    try:
        for convolution, normalisation in pairs:
            _fold(convolution, normalisation)
        yield network
    finally:
        for module in itertools.chain.from_iterable(pairs):
            vars(module).pop("forward", None)


def _fold(convolution: Any, normalisation: Any) -> None:
    """Shadow the methods ``forward`` of both modules until the attributes are removed."""
    weight, bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        normalisation.running_mean,
        normalisation.running_var,
        normalisation.eps,
        normalisation.weight,
        normalisation.bias,
    )
    convolution.forward = lambda images: convolution._conv_forward(images, weight, bias)
    normalisation.forward = lambda images: images
