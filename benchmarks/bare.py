"""Bare passes of frozen networks, each in whichever known way is fastest here, and times that are measured in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from itertools import product
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from trigger_activation.science._folding import folded

LAYOUTS = {"plain": torch.contiguous_format, "channels last": torch.channels_last}

Pass = Callable[[nn.Module, Tensor], Any]
"""What is timed, of a network and images."""


def seconds(action: Callable[[], Any]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def in_turns(actions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median wall times, measured in turns so that what else the machine does meets all alike; one warm-up each."""
    for action in actions.values():
        action()
    times = [{name: seconds(action) for name, action in actions.items()} for _ in range(rounds)]
    return {name: median(row[name] for row in times) for name in actions}


def bare_seconds(network: nn.Module, images: Tensor, timed: Pass, rounds: int) -> dict[str, float]:
    """Way of computing -> seconds of one pass of the network in evaluation mode, its parameters without gradients."""
    actions = {}
    for (layout, memory_format), folds in product(LAYOUTS.items(), (False, True)):
        copy = deepcopy(network).eval().requires_grad_(False).to(memory_format=memory_format)  # type: ignore[call-overload]
        # Entered for good, since folding once is no part of a pass.
        ready = folded(copy).__enter__() if folds else copy
        given = images.contiguous(memory_format=memory_format)
        name = f"{layout}, folded" if folds else layout
        actions[name] = lambda ready=ready, given=given: timed(ready, given)
    return in_turns(actions, rounds)


def fastest(network: nn.Module, images: Tensor, timed: Pass, rounds: int) -> float:
    """Seconds of a pass of a frozen network in the fastest way of plain, channels last, folded, and both."""
    return min(bare_seconds(network, images, timed, rounds).values())
