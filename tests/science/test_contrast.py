"""Differences between cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_ind

from tests.support.means import BLOCKS, mean_of
from trigger_activation.science.evaluation.accuracy import all_pairs, pair_mean
from trigger_activation.science.evaluation.contrast import difference, estimated, over_images, told
from trigger_activation.science.evaluation.results import PairMean, mean_over

RANDOM = np.random.default_rng(0)
T_OF_9 = 2.262157
"""97.5 % quantile of Student's t for the ten blocks."""


def measured(seeds: int, images: int = 200, share: float = 0.6) -> PairMean:
    return pair_mean(RANDOM.random((seeds, 2, 2, images)) < share, all_pairs(2, 2), images // BLOCKS)


def test_a_cell_does_not_differ_from_itself() -> None:
    cell = measured(3)
    found = difference(cell, cell)
    assert (found.mean, found.margin()) == (0, 0)


def test_noise_that_cells_share_cancels() -> None:
    """Images that all networks get right or wrong alike do not widen the interval of a difference."""
    left, right = mean_of(50.0, 51.0, 52.0, images=9.0, draw=1), mean_of(46.0, 47.0, 48.0, images=9.0, draw=1)
    assert difference(left, right).margin() == pytest.approx(0, abs=1e-5)
    assert over_images(left).margin() > 9


def test_seeds_of_two_cells_are_paired_since_they_share_surrogates() -> None:
    assert difference(mean_of(40.0, 60.0, 50.0), mean_of(39.0, 59.0, 49.0)).margin() == pytest.approx(0, abs=1e-5)


def test_other_numbers_of_seeds_are_compared_as_by_welch() -> None:
    left, right = (61.0, 64.5, 62.0), (58.0, 58.5, 57.0, 60.5)
    expected = ttest_ind(left, right, equal_var=False).confidence_interval(0.95)
    found = difference(mean_of(*left), mean_of(*right))
    assert (found.mean - found.margin(), found.mean + found.margin()) == pytest.approx((expected.low, expected.high))


def test_a_difference_has_a_sign_only_if_its_interval_excludes_zero() -> None:
    higher, lower, wavering = mean_of(60.0, 61.0, 62.0), mean_of(50.0, 51.0, 52.0), mean_of(41.0, 56.0, 71.0)
    assert [difference(higher, lower).sign, difference(lower, higher).sign] == [1, -1]
    assert difference(wavering, lower).sign == 0


def test_a_single_seed_decides_nothing_by_itself() -> None:
    found = difference(mean_of(90.0), mean_of(10.0, 11.0))
    assert found.one_seed
    assert found.margin() == math.inf
    assert found.sign == 0
    assert "unknown" in told(found)


def test_an_attack_on_fewer_images_keeps_its_mean_and_its_variance() -> None:
    few = pair_mean(RANDOM.random((2, 2, 2, 60)) < 0.5, all_pairs(2, 2), 20)
    many = measured(2)
    found = difference(few, many)
    assert found.mean == pytest.approx(few.mean - many.mean)
    alone = mean_over([few, mean_of(0.0, 0.0)])
    assert alone.mean == pytest.approx(few.mean / 2)
    # Over ten blocks instead of three: the same variance, of a mean that is half as large.
    assert over_images(alone).variance.value == pytest.approx(over_images(few).variance.value / 4, rel=1e-4)


def test_a_mean_over_cells_averages_seed_by_seed() -> None:
    found = mean_over([mean_of(50.0, 60.0), mean_of(60.0, 50.0)])
    assert (found.mean, found.standard_deviation) == (55, 0)


def test_images_alone_are_told_by_their_blocks() -> None:
    assert over_images(mean_of(50.0, images=2.0)).margin() == pytest.approx(T_OF_9 * 2, rel=1e-5)
    assert estimated(mean_of(50.0, 50.0, images=2.0)).margin() == pytest.approx(T_OF_9 * 2, rel=1e-5)


def test_a_difference_is_told_with_its_interval() -> None:
    assert told(difference(mean_of(50.0, 50.0, images=1.0), mean_of(47.7, 47.7))) == "+2.3 points ± 2.3 (95 %)"
