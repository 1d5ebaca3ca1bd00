"""Timing of batches."""

from __future__ import annotations

import time
from statistics import stdev

import pytest
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
    timing = time_batches(sleeper, torch.zeros(1), warm_up=3, batches=5, repeats=2, limit_seconds=60)
    assert (timing.batches, timing.repeats, sleeper.calls) == (10, 2, 16)
    assert timing.milliseconds >= 2


def test_a_slow_pipeline_is_timed_on_fewer_batches() -> None:
    sleeper = Sleeper(0.05)
    timing = time_batches(sleeper, torch.zeros(1), warm_up=100, batches=100, repeats=1, limit_seconds=0.01)
    assert (timing.batches, sleeper.calls) == (1, 2)
    assert timing.milliseconds >= 50
    assert timing.deviation == 0


def test_the_spread_is_over_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock of our own: batches of 1, 2 and 6 seconds in turn, one warm-up and one counted in each repeat."""
    took = [0.0, 1.0, 0.0, 2.0, 0.0, 6.0]
    clock = iter([moment for seconds in took for moment in (0.0, seconds)])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    timing = time_batches(lambda batch: batch, torch.zeros(1), warm_up=1, batches=1, repeats=3, limit_seconds=60)
    assert timing.milliseconds == pytest.approx(3000)
    assert timing.deviation == pytest.approx(1000 * stdev([1, 2, 6]))
