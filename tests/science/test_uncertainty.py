"""Intervals over crossed seeds and images cover the truth as often as they say, whatever the noise comes from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from trigger_activation.science.evaluation.uncertainty import (
    UNKNOWN,
    Estimate,
    Variance,
    contrast,
    estimate,
    scores,
)

TRIES = 1500
# A share of 1,500 tries lies within 1.7 points of its expectation in 997 of 1,000 cases.
LOWEST, HIGHEST = 0.95 - 0.03 - 0.017, 1.0


def draw(generator: np.random.Generator, seeds: int, blocks: int, spread: tuple[float, float, float]) -> NDArray:
    """Scores around zero: deviations of seeds, of blocks, and of each alone."""
    over_seeds, over_blocks, alone = spread
    return (
        over_seeds * generator.standard_normal((seeds, 1))
        + over_blocks * generator.standard_normal((1, blocks))
        + alone * generator.standard_normal((seeds, blocks))
    )


def covered(found: Estimate) -> bool:
    return abs(found.mean) <= found.margin()


@pytest.mark.parametrize("spread", [(3, 1, 1), (0, 1, 1), (1, 0, 1), (0.3, 3, 1), (0, 3, 3), (1, 1, 1)])
@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_cover_the_truth(seeds: int, spread: tuple[float, float, float]) -> None:
    generator = np.random.default_rng(0)
    share = np.mean([covered(estimate(draw(generator, seeds, 10, spread))) for _ in range(TRIES)])
    assert LOWEST <= share <= HIGHEST


def test_paired_differences_cover_the_truth_and_are_narrower() -> None:
    generator = np.random.default_rng(0)
    shared = [draw(generator, 3, 10, (2, 2, 1)) for _ in range(TRIES)]
    cells = [
        (common + draw(generator, 3, 10, (1, 0, 1)), common + draw(generator, 3, 10, (1, 0, 1))) for common in shared
    ]
    paired = [contrast(*pair) for pair in cells]
    assert LOWEST <= np.mean([covered(found) for found in paired]) <= HIGHEST
    alone = np.median([estimate(left).margin() for left, _ in cells])
    assert np.median([found.margin() for found in paired]) < alone


def test_a_single_seed_alone_decides_nothing() -> None:
    generator = np.random.default_rng(0)
    one, three = draw(generator, 1, 10, (1, 1, 1)), draw(generator, 3, 10, (1, 1, 1))
    assert estimate(one).margin() == math.inf
    assert contrast(one + 90, three).margin() == math.inf


def test_without_image_noise_it_is_the_t_interval() -> None:
    seeds = np.array([61.0, 64.0, 62.5])
    found = estimate(np.repeat(seeds[:, None], 4, axis=1))
    low, high = stats.t.interval(0.95, df=2, loc=seeds.mean(), scale=stats.sem(seeds))
    assert (found.mean - found.margin(), found.mean + found.margin()) == pytest.approx((low, high))


def test_two_independent_cells_are_compared_as_by_welch() -> None:
    left, right = np.array([[61.0], [64.0], [62.5]]), np.array([[50.0], [51.0]])
    found = contrast(np.repeat(left, 2, axis=1), np.repeat(right, 2, axis=1))
    welch = stats.ttest_ind(left[:, 0], right[:, 0], equal_var=False)
    assert found.variance.freedom == pytest.approx(welch.df)
    assert found.margin() == pytest.approx((welch.confidence_interval().high - welch.confidence_interval().low) / 2)


@pytest.mark.parametrize("block", [1, 30, 100, 70])
def test_scores_add_up_to_the_accuracy(block: int) -> None:
    correct = np.random.default_rng(0).random((3, 4, 100)) < 0.6
    found = scores(correct, block)
    assert found.shape == (3, math.ceil(100 / block))
    np.testing.assert_allclose(found.mean(axis=1), 100 * correct.mean(axis=(1, 2)))


def test_equal_blocks_score_their_own_accuracy() -> None:
    correct = np.random.default_rng(0).random((2, 4, 100)) < 0.6
    blocks = 100 * correct.reshape(2, 4, 5, 20).mean(axis=(1, 3))
    np.testing.assert_allclose(scores(correct, 20), blocks)


def test_blocks_of_shared_luck_widen_the_interval() -> None:
    generator = np.random.default_rng(0)
    luck = np.repeat(generator.random(50) < 0.6, 20)
    mixed = generator.permutation(luck)
    shared, own = (estimate(scores(np.tile(hits, (3, 1, 1)), 20)) for hits in (luck, mixed))
    # One draw for 20 images instead of one for each: 20 times the variance, known to a factor of two.
    assert 10 < shared.variance.value / own.variance.value < 40


def test_an_empty_block_is_refused() -> None:
    with pytest.raises(ValueError, match="a block of 0 images"):
        scores(np.ones((1, 1, 4), dtype=bool), 0)


def test_variances_add_and_the_unknown_stays_unknown() -> None:
    assert Variance(2, 3) + UNKNOWN == UNKNOWN
    assert (Variance(2, 3) + Variance(2, 3)) == Variance(4, 6)
    assert Variance(0, 2) + Variance(0, 2) == Variance(0, math.inf)
