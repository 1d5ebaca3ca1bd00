"""How long a deployed pipeline takes for a batch (paper, Table V)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Timing:
    """Mean time for a batch."""

    milliseconds: float
    batches: int
    """How many it is the mean of."""


def time_batches(
    classify: Callable[[Tensor], Tensor], batch: Tensor, warm_up: int, batches: int, limit_seconds: float
) -> Timing:
    """Time a pipeline on one batch again and again, the device synchronised before each reading of the clock.

    Args:
        classify: images (B, 3, H, W) in [0, 1] to logits, preprocessing included.
        batch: such images, on the device.
        warm_up: batches that come first and are not counted, one at least.
        batches: how many are counted.
        limit_seconds: after so long, warm-up and counting each end early.
    """
    with torch.no_grad():
        _repeat(classify, batch, warm_up, limit_seconds)
        seconds, counted = _repeat(classify, batch, batches, limit_seconds)
    return Timing(1000 * seconds / counted, counted)


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
