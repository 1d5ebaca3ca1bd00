"""Differences between cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_ind

from trigger_activation.science.evaluation.accuracy import all_pairs, bootstrap_weights, pair_mean
from trigger_activation.science.evaluation.contrast import difference
from trigger_activation.science.evaluation.results import PairMean, mean_over

RANDOM = np.random.default_rng(0)


def statistics(correct: np.ndarray[Any, Any]) -> PairMean:
    weights = bootstrap_weights(correct.shape[-1], 500, np.random.default_rng(1))
    return pair_mean(correct, all_pairs(2, 2), weights)


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
    expected = math.sqrt(np.var(left.per_seed, ddof=1) / 3 + np.var(right.per_seed, ddof=1) / 5)
    assert difference(left, right).standard_error == pytest.approx(expected)


def seeds_only(*per_seed: float) -> PairMean:
    """A cell without any noise from its images."""
    deviation = float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None
    mean = float(np.mean(per_seed))
    return PairMean(mean=mean, per_seed=list(per_seed), standard_deviation=deviation, bootstrap=[mean] * 3)


def test_the_margin_over_seeds_is_that_of_welch() -> None:
    left, right = (61.0, 64.5, 62.0), (58.0, 58.5, 57.0, 60.5)
    expected = ttest_ind(left, right, equal_var=False).confidence_interval(0.95)
    found = difference(seeds_only(*left), seeds_only(*right))
    assert (found.mean - found.margin, found.mean + found.margin) == pytest.approx((expected.low, expected.high))


def test_the_margin_over_images_is_that_of_a_normal_distribution() -> None:
    left, right = (statistics(RANDOM.random((1, 2, 2, 2000)) < share) for share in (0.6, 0.5))
    found = difference(left, right)
    low, high = found.interval
    assert 2 * found.margin == pytest.approx(high - low, rel=0.15)


def test_a_margin_keeps_what_is_known_of_the_seeds() -> None:
    """One cell with a single seed does not make the other's spread disappear."""
    found = difference(seeds_only(60.0), seeds_only(50.0, 70.0))
    assert found.standard_error is None
    assert found.margin > 50


def test_a_mean_over_cells_averages_seed_by_seed() -> None:
    """Victims that are strong under one attack and weak under another have no spread in the mean."""
    found = mean_over([seeds_only(50.0, 60.0), seeds_only(60.0, 50.0)])
    assert found.mean == 55
    assert found.standard_deviation == 0


def test_one_seed_has_no_standard_error() -> None:
    cell = statistics(RANDOM.random((1, 2, 2, 200)) < 0.6)
    assert difference(cell, cell).standard_error is None
    assert str(difference(cell, cell)) == "+0.0 points (images: +0.0 to +0.0, 95 %; one seed)"
