"""How long a deployed pipeline takes for a batch (paper, Table V)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean, stdev

import torch
from torch import Tensor


@dataclass(frozen=True)
class Timing:
    """Mean time for a batch, and how far it repeats."""

    milliseconds: float
    """The mean over repeats of their mean over batches."""
    deviation: float
    """Sample standard deviation over repeats, in milliseconds; 0 of a single one."""
    repeats: int
    batches: int
    """Of all repeats together."""


def time_batches(
    classify: Callable[[Tensor], Tensor],
    batch: Tensor,
    warm_up: int,
    batches: int,
    repeats: int,
    limit_seconds: float,
) -> Timing:
    """Time a pipeline on one batch again and again, the device synchronised before each reading of the clock.

    Args:
        classify: images (B, 3, H, W) in [0, 1] to logits, preprocessing included.
        batch: such images, on the device.
        warm_up: batches that come first in each repeat and are not counted, one at least.
        batches: how many are counted in each.
        repeats: how often, one at least.
        limit_seconds: after so long, warm-up and counting of a repeat each end early.
    """
    times, total = [], 0
    with torch.no_grad():
        for _ in range(repeats):
            _repeat(classify, batch, warm_up, limit_seconds)
            seconds, counted = _repeat(classify, batch, batches, limit_seconds)
            times.append(1000 * seconds / counted)
            total += counted
    return Timing(mean(times), stdev(times) if repeats > 1 else 0.0, repeats, total)


def _repeat(classify: Callable[[Tensor], Tensor], batch: Tensor, times: int, limit: float) -> tuple[float, int]:
    """Seconds and repetitions, at least one."""
    start = _now(batch)
    seconds, done = 0.0, 0
    while done == 0 or (done < times and seconds < limit):
        classify(batch)
        seconds = _now(batch) - start
        done += 1
    return seconds, done


def _now(batch: Tensor) -> float:
    if batch.device.type == "cuda":
        torch.cuda.synchronize(batch.device)
    return time.perf_counter()
