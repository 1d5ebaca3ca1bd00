"""Differences between cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from trigger_activation.evaluation.accuracy import all_pairs, bootstrap_weights, pair_mean
from trigger_activation.evaluation.contrast import difference

RANDOM = np.random.default_rng(0)


def statistics(correct: np.ndarray[Any, Any]) -> dict[str, Any]:
    weights = bootstrap_weights(correct.shape[-1], 500, np.random.default_rng(1))
    return vars(pair_mean(correct, all_pairs(2, 2), weights))


def test_a_cell_does_not_differ_from_itself() -> None:
    cell = statistics(RANDOM.random((3, 2, 2, 200)) < 0.6)
    found = difference(cell, cell)
    assert found.mean == 0
    assert found.interval == (0, 0)


def test_noise_that_cells_share_cancels() -> None:
    """Images that all networks get right or wrong alike do not widen the interval of a difference."""
    hard = RANDOM.random((1, 1, 1, 400)) < 0.5
    left, right = np.broadcast_to(hard, (3, 2, 2, 400)).copy(), np.broadcast_to(hard, (3, 2, 2, 400)).copy()
    right[..., :4] = ~right[..., :4]
    low, high = difference(statistics(left), statistics(right)).interval
    assert high - low < 4  # each cell's own interval is about 10 points wide


def test_the_standard_error_adds_the_variances_of_both_means() -> None:
    left, right = (statistics(RANDOM.random((seeds, 2, 2, 200)) < 0.6) for seeds in (3, 5))
    expected = math.sqrt(np.var(left["per_seed"], ddof=1) / 3 + np.var(right["per_seed"], ddof=1) / 5)
    assert difference(left, right).standard_error == pytest.approx(expected)


def test_one_seed_has_no_standard_error() -> None:
    cell = statistics(RANDOM.random((1, 2, 2, 200)) < 0.6)
    assert difference(cell, cell).standard_error is None
    assert str(difference(cell, cell)) == "+0.0 points (images: +0.0 to +0.0, 95 %; one seed)"
