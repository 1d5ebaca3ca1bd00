"""Timing of batches."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from trigger_activation.science.evaluation.timing import time_batches


class Sleeper:
    """A pipeline that takes a known time and counts its calls."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.calls = seconds, 0

    def __call__(self, batch: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        self.calls += 1
        time.sleep(self.seconds)
        return batch


def test_warm_up_is_not_counted() -> None:
    sleeper = Sleeper(0.002)
    timing = time_batches(sleeper, torch.zeros(1), warm_up=3, batches=5, limit_seconds=60)
    assert (timing.batches, sleeper.calls) == (5, 8)
    assert timing.milliseconds >= 2


def test_a_slow_pipeline_is_timed_on_fewer_batches() -> None:
    sleeper = Sleeper(0.05)
    timing = time_batches(sleeper, torch.zeros(1), warm_up=100, batches=100, limit_seconds=0.01)
    assert (timing.batches, sleeper.calls) == (1, 2)
    assert timing.milliseconds >= 50
