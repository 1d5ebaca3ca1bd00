"""Equations 5 to 7 against plain loops, scores, predictions, and the studies of triggers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from tests.support.trainings import rounding
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.evaluation.accuracy import (
    all_pairs,
    off_diagonal,
    pair_mean,
    predict,
)
from trigger_activation.science.evaluation.triggers import as_picture, flip_point, mean_square, random_mask
from trigger_activation.science.images import to_float

SHAPES = [(1, 1, 1, 7), (1, 2, 2, 30), (3, 2, 2, 11), (2, 5, 5, 20), (4, 3, 1, 13)]
"""Victim seeds, victims, surrogates, images."""
shapes = pytest.mark.parametrize("shape", SHAPES)


def correct(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(shape) < 0.6


def names(count: int) -> list[str]:
    return [f"network{index}" for index in range(count)]


def mean_by_loops(hits: NDArray[np.bool_], victims: list[str], surrogates: list[str], diagonal: bool) -> list[float]:
    """Eq. 5 to 7 as written: over images, over surrogates, over victims; one percentage for each victim seed."""
    result = []
    for seed in range(hits.shape[0]):
        over_victims = []
        for t, victim in enumerate(victims):
            for s, surrogate in enumerate(surrogates):
                if not diagonal and victim == surrogate:
                    continue
                right = 0
                for n in range(hits.shape[3]):
                    right += int(hits[seed, t, s, n])
                over_victims.append(100 * right / hits.shape[3])
        result.append(sum(over_victims) / len(over_victims))
    return result


class TestPairMean:
    @shapes
    def test_over_all_pairs_equals_plain_loops(self, shape: tuple[int, ...]) -> None:
        hits, victims, surrogates = correct(shape), names(shape[1]), names(shape[2])
        expected = mean_by_loops(hits, victims, surrogates, diagonal=True)
        result = pair_mean(hits, all_pairs(shape[1], shape[2]), 5)
        assert result.per_seed == pytest.approx(expected, abs=2e-6)
        assert result.mean == pytest.approx(sum(expected) / len(expected), abs=2e-6)

    @pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[1] > 1])
    def test_off_the_diagonal_equals_plain_loops(self, shape: tuple[int, ...]) -> None:
        hits, victims, surrogates = correct(shape), names(shape[1]), names(shape[2])
        expected = mean_by_loops(hits, victims, surrogates, diagonal=False)
        result = pair_mean(hits, off_diagonal(victims, surrogates), 5)
        assert result.per_seed == pytest.approx(expected, abs=2e-6)

    def test_knows_victims_from_surrogates(self) -> None:
        hits = np.zeros((1, 2, 3, 5), dtype=bool)
        hits[:, 1] = True  # the second victim is always right
        pairs = off_diagonal(["b", "a"], ["a", "b", "c"])
        assert pairs.tolist() == [[True, False, True], [False, True, True]]
        assert pair_mean(hits, pairs, 5).mean == pytest.approx(50)
        assert pair_mean(hits, all_pairs(2, 3) & [[True], [False]], 5).mean == 0

    def test_the_diagonal_of_white_box_attacks_costs_the_known_ratio(self) -> None:
        """Five networks, white-box accuracy zero: Tables VIII to X are 25/20 of Tables II to IV."""
        hits = np.ones((1, 5, 5, 10), dtype=bool)
        hits[:, np.eye(5, dtype=bool)] = False
        everywhere = pair_mean(hits, all_pairs(5, 5), 5).mean
        elsewhere = pair_mean(hits, off_diagonal(names(5), names(5)), 5).mean
        assert elsewhere / everywhere == pytest.approx(25 / 20)

    @pytest.mark.parametrize("seeds_", [2, 3, 5])
    def test_deviates_over_seeds_with_one_degree_less(self, seeds_: int) -> None:
        hits = correct((seeds_, 2, 2, 50))
        result = pair_mean(hits, all_pairs(2, 2), 5)
        mean = sum(result.per_seed) / seeds_
        expected = math.sqrt(sum((value - mean) ** 2 for value in result.per_seed) / (seeds_ - 1))
        assert result.standard_deviation == pytest.approx(expected, rel=1e-9)

    def test_has_no_deviation_for_one_seed(self) -> None:
        assert pair_mean(correct((1, 2, 2, 10)), all_pairs(2, 2), 5).standard_deviation is None

    @pytest.mark.parametrize(("value", "percent"), [(True, 100.0), (False, 0.0)])
    def test_is_a_percentage(self, value: bool, percent: float) -> None:
        result = pair_mean(np.full((2, 2, 2, 9), value), all_pairs(2, 2), 5)
        assert result.mean == percent
        assert result.standard_deviation == 0
        assert {score for seed in result.scores for score in seed} == {percent}

    @shapes
    def test_scores_say_what_each_block_of_images_adds(self, shape: tuple[int, ...]) -> None:
        hits = correct(shape)
        result = pair_mean(hits, all_pairs(shape[1], shape[2]), 5)
        assert np.shape(result.scores) == (shape[0], math.ceil(shape[3] / 5))
        assert np.mean(result.scores, axis=1) == pytest.approx(100 * hits.mean(axis=(1, 2, 3)), abs=1e-5)

    def test_a_mean_is_kept_to_a_millionth_of_a_point(self) -> None:
        result = pair_mean(correct((3, 2, 2, 30)), all_pairs(2, 2), 7)
        assert result.mean == round(result.mean, 6)


class TestPredict:
    @pytest.mark.parametrize("batch_size", [1, 7, 64, 500, 10_000])
    def test_does_not_depend_on_the_batch_size(
        self, batch_size: int, trained_network: nn.Module, fashion16_test: tuple[Tensor, Tensor]
    ) -> None:
        images = fashion16_test[0][:150]
        assert torch.equal(predict(trained_network, images, batch_size), predict(trained_network, images, 150))

    def test_finds_the_largest_logit_of_every_image(
        self, trained_network: nn.Module, fashion16_test: tuple[Tensor, Tensor]
    ) -> None:
        images = fashion16_test[0][:20]
        expected = [
            max(range(10), key=trained_network((image[None] / 255).permute(0, 3, 1, 2))[0].tolist().__getitem__)
            for image in images
        ]
        assert predict(trained_network, images, 8).tolist() == expected

    def test_keeps_the_order_of_the_images(self) -> None:
        network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        images = torch.zeros(3, 4, 4, 3, dtype=torch.uint8)
        for index, channel in enumerate([2, 0, 1]):
            images[index, ..., channel] = 255
        assert predict(network, images, 2).tolist() == [2, 0, 1]


class Recorder(nn.Module):
    """Remembers what it sees; its logits are the mean of each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        return images.mean(dim=(2, 3))


class TestFlipPoint:
    @pytest.fixture
    def exact(
        self, triggered_network: tuple[nn.Module, Tensor], fashion16_test: tuple[Tensor, Tensor]
    ) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
        """A network, its trigger, images and labels, rounded so that x + tau - tau is x in floating point."""
        network, trigger = triggered_network
        images, labels = fashion16_test
        return network, 0.25 * trigger.sign(), 255 * (images > 127).to(torch.uint8), labels

    def flip(
        self, exact: tuple[nn.Module, Tensor, Tensor, Tensor], fraction: float, masks: int = 1, **given: Any
    ) -> Any:
        return flip_point(*exact, fraction, masks, given.get("batch_size", 500), Generator().manual_seed(0))

    @pytest.mark.parametrize(("fraction", "triggers"), [(0.0, 0), (1.0, 2)])
    def test_at_the_ends_the_network_sees(
        self, fraction: float, triggers: int, exact: tuple[nn.Module, Tensor, Tensor, Tensor]
    ) -> None:
        """No trigger at 0, twice the trigger at 1."""
        network, trigger, images, labels = exact
        predicted = predict(DeployedNetwork(network, triggers * trigger), images, 500)
        point = self.flip(exact, fraction)
        assert point.accuracy == [pytest.approx(100 * (predicted == labels).double().mean().item())]
        with torch.no_grad():
            logits = network(to_float(images) + triggers * trigger)
        assert point.loss == [pytest.approx(functional.cross_entropy(logits, labels).item(), rel=rounding(network))]

    def test_every_mask_gives_one_entry(self, exact: tuple[nn.Module, Tensor, Tensor, Tensor]) -> None:
        point = self.flip(exact, 0.3, masks=4)
        assert point.fraction == 0.3
        assert len(point.accuracy) == len(point.loss) == 4
        assert len(set(point.loss)) == 4

    def test_does_not_depend_on_the_batch_size(self, exact: tuple[nn.Module, Tensor, Tensor, Tensor]) -> None:
        once, often = self.flip(exact, 0.5), self.flip(exact, 0.5, batch_size=77)
        assert often.accuracy == once.accuracy
        assert often.loss == pytest.approx(once.loss, rel=rounding(exact[0]))

    @pytest.mark.parametrize("fraction", [0, 0.05, 0.5, 0.95, 1])
    def test_one_mask_with_the_exact_share_serves_all_images(self, fraction: float) -> None:
        network, trigger = Recorder(), torch.full((3, 8, 8), 0.25)
        images, labels = torch.zeros(6, 8, 8, 3, dtype=torch.uint8), torch.zeros(6, dtype=torch.int64)
        flip_point(network, trigger, images, labels, fraction, 1, 4, Generator().manual_seed(0))
        seen = torch.cat(network.seen)
        assert (seen == seen[0]).all()
        assert set(seen.unique().tolist()) <= {0.0, 0.5}
        assert int((seen[0] == 0.5).sum()) == round(fraction * 192)


class TestRandomMask:
    @pytest.mark.parametrize("fraction", [0, 0.05, 0.1, 1 / 3, 0.5, 0.95, 1])
    def test_has_exactly_the_asked_share(self, fraction: float) -> None:
        mask = random_mask(torch.Size([3, 16, 16]), fraction, Generator().manual_seed(0))
        assert mask.shape == (3, 16, 16)
        assert mask.dtype == torch.bool
        assert int(mask.sum()) == round(fraction * 768)

    def test_prefers_no_entry(self) -> None:
        generator, draws = Generator().manual_seed(0), 1000
        counts = sum(random_mask(torch.Size([3, 4, 4]), 0.25, generator).double() for _ in range(draws))
        assert isinstance(counts, Tensor)
        assert (counts - 0.25 * draws).abs().max() < 5 * math.sqrt(draws * 0.25 * 0.75)


class TestPictures:
    def test_mean_square_is_the_mean_of_the_squares(self) -> None:
        trigger = torch.randn(3, 5, 5, generator=Generator().manual_seed(0))
        expected = sum(value**2 for value in trigger.flatten().tolist()) / 75
        assert mean_square(trigger) == pytest.approx(expected, rel=1e-6)

    def test_a_picture_spans_the_range_of_its_trigger(self) -> None:
        trigger = torch.tensor([-0.5, -0.25, 0.0, 0.25, 0.5]).expand(3, 1, 5)
        picture = as_picture(trigger)
        assert picture.shape == (1, 5, 3)
        assert picture.dtype == torch.uint8
        assert picture[0, :, 0].tolist() == [0, 64, 128, 191, 255]

    def test_no_trigger_is_a_grey_picture(self) -> None:
        assert set(as_picture(torch.zeros(3, 2, 2)).unique().tolist()) == {128}
