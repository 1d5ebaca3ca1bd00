"""What every preprocessing promises, what each must do, and what a cell makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from trigger_activation.errors import UserError
from trigger_activation.plan.config.loader import validate
from trigger_activation.plan.contents import Content
from trigger_activation.plan.recipes import CellParameters, DatasetParameters
from trigger_activation.run.job import Job
from trigger_activation.run.stages.cells import make_cell
from trigger_activation.science.images import to_float
from trigger_activation.science.preprocessing import PREPROCESSING, Preprocessing, resize_pad
from trigger_activation.science.preprocessing.gaussian import Gaussian
from trigger_activation.science.seeds import image_seeds

CONFIG = Path(__file__).resolve().parents[2] / "config/preprocessing/filters.yaml"
VARIANTS: dict[str, dict[str, Any]] = yaml.safe_load(CONFIG.read_text("utf-8"))
SEEDS = range(1000, 1008)

every_filter = pytest.mark.parametrize("method", [pytest.param(v, id=name) for name, v in VARIANTS.items()])


def made(name: str, **parameters: Any) -> Preprocessing:
    return PREPROCESSING[name](**parameters)


def configured(variant: dict[str, Any]) -> Preprocessing:
    return made(variant["class"], **variant["parameters"])


def noise(*shape: int) -> Tensor:
    """Images of bytes."""
    return torch.randint(0, 256, shape, generator=Generator().manual_seed(0)) / 255


def smooth(side: int = 32) -> Tensor:
    """Eight grey images of bytes, brighter from one corner to the other."""
    ramp = torch.linspace(-0.5, 0.5, side)
    slopes = torch.linspace(-0.4, 0.4, 8)[:, None, None, None]
    return ((0.5 + slopes * (ramp[:, None] + ramp[None, :])) * 255).round().expand(8, 3, side, side) / 255


@pytest.fixture
def images(fashion16_test: tuple[Tensor, Tensor]) -> Tensor:
    """Eight real images, the last one noise."""
    images = to_float(fashion16_test[0][:8])
    images[7] = noise(3, 16, 16)
    return images


@every_filter
class TestEveryFilter:
    def test_stays_in_the_pixel_range(self, method: dict[str, Any], images: Tensor) -> None:
        for batch in (images, torch.ones(8, 3, 17, 17), torch.zeros(8, 3, 17, 17)):
            result = configured(method).apply(batch, SEEDS)
            assert result.min() >= 0
            assert result.max() <= 1

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_returns_images_of_the_type_that_it_got(
        self, method: dict[str, Any], dtype: torch.dtype, images: Tensor
    ) -> None:
        result = configured(method).apply(images.to(dtype), SEEDS)
        assert result.dtype == dtype
        assert result.shape[:2] == images.shape[:2]

    def test_leaves_its_input_alone(self, method: dict[str, Any], images: Tensor) -> None:
        before = images.clone()
        configured(method).apply(images, SEEDS)
        assert torch.equal(images, before)

    def test_the_same_seeds_give_the_same_images(self, method: dict[str, Any], images: Tensor) -> None:
        first, second = (configured(method).apply(images, SEEDS) for _ in range(2))
        assert torch.equal(first, second)

    def test_has_nothing_to_do_with_the_global_random_state(self, method: dict[str, Any], images: Tensor) -> None:
        results = []
        for seed in (1, 2):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                before = torch.get_rng_state()
                results.append(configured(method).apply(images, SEEDS))
                assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(*results)

    @settings(max_examples=8, deadline=None)
    @given(order=st.permutations(range(8)), cut=st.integers(1, 7))
    def test_what_becomes_of_an_image_depends_on_the_image_and_its_seed_alone(
        self, method: dict[str, Any], order: list[int], cut: int
    ) -> None:
        batch, filtered = noise(8, 3, 16, 16), configured(method)
        parts = [filtered.apply(batch[rows], [SEEDS[row] for row in rows]) for rows in (order[:cut], order[cut:])]
        assert torch.equal(torch.cat(parts), filtered.apply(batch, SEEDS)[order])


WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("jpeg", {"quality": 0}, "quality", "greater than or equal to 1"),
    ("jpeg", {"quality": 101}, "quality", "less than or equal to 100"),
    ("jpeg", {"quality": 50.5}, "quality", "valid integer"),
    ("bit_depth", {"depth": 0}, "depth", "greater than or equal to 1"),
    ("bit_depth", {"depth": 9}, "depth", "less than or equal to 8"),
    ("bit_depth", {"depth": 2, "mode": "floor"}, "mode", "'round_levels', 'round_pow2' or 'floor_pow2'"),
    ("gaussian", {"sigma": 0}, "sigma", "greater than 0"),
    ("gaussian", {"sigma": -0.6}, "sigma", "greater than 0"),
    ("gaussian", {"sigma": 0.6, "window": 4}, "window", "a window of 4 pixels has no centre: give an odd number"),
    ("gaussian", {"sigma": 0.6, "window": -1}, "window", "greater than 0"),
    ("resize_pad", {"scale": 0.9}, "scale", "greater than or equal to 1"),
    ("resize_pad", {"scale": 1.2, "interpolation": "cubic"}, "interpolation", "'bilinear' or 'nearest'"),
]


@pytest.mark.parametrize(("name", "parameters", "key", "remedy"), WRONG)
def test_wrong_parameters_are_refused_in_one_sentence(
    name: str, parameters: dict[str, Any], key: str, remedy: str
) -> None:
    with pytest.raises(UserError) as caught:
        validate(PREPROCESSING[name], parameters, "config/preprocessing/filters.yaml", "x.parameters")
    message = str(caught.value)
    assert message.startswith(f"config/preprocessing/filters.yaml: x.parameters.{key}: ")
    assert remedy in message
    assert "\n" not in message


class TestJPEG:
    def test_returns_grey_levels(self) -> None:
        levels = made("jpeg", quality=50).apply(noise(8, 3, 32, 32), SEEDS) * 255
        torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)

    def test_the_best_quality_hardly_changes_a_smooth_image(self) -> None:
        change = made("jpeg", quality=100).apply(smooth(), SEEDS) - smooth()
        assert change.abs().max() < 3 / 255

    @pytest.mark.parametrize("quality", [20, 50, 75])
    def test_twice_is_once_for_a_smooth_image(self, quality: int) -> None:
        jpeg = made("jpeg", quality=quality)
        once = jpeg.apply(smooth(), SEEDS)
        assert not torch.equal(once, smooth())
        assert (jpeg.apply(once, SEEDS) - once).abs().max() <= 2 / 255

    @pytest.mark.parametrize("quality", [20, 50, 75])
    def test_the_second_time_changes_real_images_much_less(self, quality: int, images: Tensor) -> None:
        jpeg = made("jpeg", quality=quality)
        once = jpeg.apply(images, SEEDS)
        assert (jpeg.apply(once, SEEDS) - once).norm() < (once - images).norm() / 2

    def test_lower_qualities_change_more(self, images: Tensor) -> None:
        changes = [
            (made("jpeg", quality=quality).apply(images, SEEDS) - images).norm() for quality in (95, 75, 50, 30, 20, 5)
        ]
        assert changes == sorted(changes)
        assert len(set(changes)) == len(changes)

    def test_rounds_to_the_nearest_grey_level(self) -> None:
        jpeg, levels = made("jpeg", quality=100), torch.arange(8.0)[:, None, None, None].expand(8, 3, 16, 16)
        exact = jpeg.apply(levels / 255, SEEDS)
        for offset in (-0.49, 0.49):
            assert torch.equal(jpeg.apply(((levels + offset) / 255).clamp(0, 1), SEEDS), exact)


class TestBitDepth:
    GREYS = (torch.arange(256) / 255).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)

    def reduced(self, mode: str, depth: int, images: Tensor = GREYS) -> Tensor:
        return made("bit_depth", depth=depth, mode=mode).apply(images, [0])

    def test_eight_bits_with_both_ends_among_the_levels_change_nothing(self) -> None:
        assert torch.equal(self.reduced("round_levels", 8), self.GREYS)

    @pytest.mark.parametrize(
        ("mode", "levels"),
        [
            ("round_levels", [0, 1 / 3, 2 / 3, 1]),
            ("round_pow2", [0, 0.25, 0.5, 0.75, 1]),
            ("floor_pow2", [0, 0.25, 0.5, 0.75, 1]),
        ],
    )
    def test_two_bits_leave_these_levels(self, mode: str, levels: list[float]) -> None:
        assert self.reduced(mode, 2).unique().tolist() == pytest.approx(levels)

    def test_flooring_keeps_1_for_white_alone(self) -> None:
        reduced = self.reduced("floor_pow2", 2)
        assert torch.equal(reduced == 1, self.GREYS == 1)

    def test_flooring_is_the_default(self) -> None:
        assert torch.equal(made("bit_depth", depth=2).apply(self.GREYS, [0]), self.reduced("floor_pow2", 2))

    @given(
        mode=st.sampled_from(["round_levels", "round_pow2", "floor_pow2"]),
        depth=st.integers(1, 8),
        pixels=st.lists(st.floats(0, 1, width=32), min_size=2, max_size=20),
    )
    def test_is_idempotent_monotone_and_close(self, mode: str, depth: int, pixels: list[float]) -> None:
        images = torch.tensor(sorted(pixels)).reshape(1, 1, 1, -1)
        reduced = self.reduced(mode, depth, images)
        assert torch.equal(self.reduced(mode, depth, reduced), reduced)
        assert (reduced.diff() >= 0).all()
        error = images - reduced
        if mode == "floor_pow2":
            assert error.min() >= 0
            assert error.max() < 2**-depth
        else:
            assert error.abs().max() <= 0.5 / (2**depth - (mode == "round_levels")) + 1e-6


class TestGaussian:
    @given(sigma=st.floats(1e-3, 1e3), half=st.integers(0, 6))
    def test_its_weights_are_a_symmetric_hill_of_sum_one(self, sigma: float, half: int) -> None:
        weights = Gaussian(sigma=sigma, window=2 * half + 1).weights()
        assert float(weights.sum()) == pytest.approx(1)
        assert torch.equal(weights, weights.flip(0))
        assert (weights[: half + 1].diff() >= 0).all()

    def test_its_weights_are_known_for_sigma_0_7(self) -> None:
        weights = Gaussian(sigma=0.7, window=5).weights().tolist()
        assert weights == pytest.approx([0.0096, 0.2054, 0.5699, 0.2054, 0.0096], abs=5e-5)

    def test_the_window_is_5_unless_given(self) -> None:
        assert len(Gaussian(sigma=3.0).weights()) == 5

    @given(sigma=st.floats(0.1, 10), half=st.integers(0, 6), level=st.floats(0, 1, width=32))
    def test_constant_images_stay_as_they_are(self, sigma: float, half: int, level: float) -> None:
        images = torch.full((1, 3, 9, 11), level)
        filtered = made("gaussian", sigma=sigma, window=2 * half + 1).apply(images, [0])
        torch.testing.assert_close(filtered, images, atol=1e-6, rtol=0)

    def test_rounding_makes_nothing_whiter_than_white(self) -> None:
        white = torch.ones(1, 3, 16, 16)
        blurs = [made("gaussian", sigma=tenths / 10, window=window) for tenths in range(1, 40) for window in (5, 9)]
        assert max(float(blur.apply(white, [0]).max()) for blur in blurs) == 1

    @pytest.mark.parametrize("sigma", [0.05, 1e-300])
    def test_a_vanishing_sigma_changes_nothing(self, sigma: float) -> None:
        images = noise(8, 3, 16, 16)
        assert torch.equal(made("gaussian", sigma=sigma).apply(images, SEEDS), images)

    def test_treats_rows_and_columns_and_directions_alike(self) -> None:
        images, blur = noise(8, 3, 16, 16), made("gaussian", sigma=1.2)
        for turn in (lambda x: x.transpose(2, 3), lambda x: x.flip(2), lambda x: x.flip(3)):
            torch.testing.assert_close(turn(blur.apply(images, SEEDS)), blur.apply(turn(images), SEEDS))

    def test_a_point_becomes_the_outer_product_of_the_weights(self) -> None:
        image = torch.zeros(1, 3, 9, 9)
        image[0, 1, 4, 4] = 1
        weights = Gaussian(sigma=0.7).weights().float()
        expected = torch.zeros_like(image)
        expected[0, 1, 2:7, 2:7] = weights[:, None] * weights[None, :]
        torch.testing.assert_close(made("gaussian", sigma=0.7).apply(image, [0]), expected)

    def test_images_smaller_than_half_a_window_are_refused(self) -> None:
        made("gaussian", sigma=1.0, window=7).apply(noise(1, 3, 4, 9), [0])
        with pytest.raises(UserError, match="window of 7 pixels is too wide for images of 3 x 9: lower it") as caught:
            made("gaussian", sigma=1.0, window=7).apply(noise(1, 3, 3, 9), [0])
        assert "\n" not in str(caught.value)


class TestResizePad:
    def test_a_scale_of_1_changes_nothing(self) -> None:
        images = noise(8, 3, 16, 16)
        for parameters in ({}, {"interpolation": "nearest"}, {"resize_back": True}):
            assert torch.equal(made("resize_pad", scale=1, **parameters).apply(images, SEEDS), images)

    @pytest.mark.parametrize(
        ("side", "scale", "canvas"), [(32, 1.2, 38), (224, 1.1, 246), (16, 1.2, 19), (25, 1.16, 29), (50, 1.12, 56)]
    )
    def test_the_canvas_is_the_scaled_side_rounded_down(self, side: int, scale: float, canvas: int) -> None:
        images = noise(1, 3, side, side)
        assert made("resize_pad", scale=scale).apply(images, [0]).shape == (1, 3, canvas, canvas)
        assert made("resize_pad", scale=scale, resize_back=True).apply(images, [0]).shape == images.shape

    @given(seed=st.integers(0, 2**63 - 1), level=st.floats(0.125, 1, width=32))
    def test_a_constant_image_fills_the_square_that_was_drawn(self, seed: int, level: float) -> None:
        size, top, left = resize_pad.draw_place(32, 38, seed)
        assert 32 <= size <= 38
        assert 0 <= min(top, left) <= max(top, left) <= 38 - size
        result = made("resize_pad", scale=1.2).apply(torch.full((1, 3, 32, 32), level), [seed])
        assert float(result.mean()) == pytest.approx(level * (size / 38) ** 2, rel=1e-5)
        expected = torch.zeros(1, 3, 38, 38)
        expected[:, :, top : top + size, left : left + size] = level
        torch.testing.assert_close(result, expected, atol=1e-6, rtol=0)

    def test_sizes_and_offsets_are_uniform(self) -> None:
        places = [resize_pad.draw_place(32, 38, seed) for seed in image_seeds("cell", "set", 7000)]
        sizes = Counter(place.size for place in places)
        assert_uniform(sizes, range(32, 39))
        for size, count in sizes.items():
            offsets = Counter((place.top, place.left) for place in places if place.size == size)
            assert_uniform(offsets, [(top, left) for top in range(39 - size) for left in range(39 - size)])
            assert count == sum(offsets.values())

    def test_every_image_has_a_draw_of_its_own(self) -> None:
        images = noise(1, 3, 32, 32).expand(50, 3, 32, 32)
        results = made("resize_pad", scale=1.2).apply(images, image_seeds("cell", "set", 50))
        assert len({result.numpy().tobytes() for result in results}) > 20


def assert_uniform(counts: Counter[Any], values: Sequence[Any]) -> None:
    """Pearson's statistic within five standard deviations of its mean."""
    expected = sum(counts.values()) / len(values)
    assert set(counts) <= set(values)
    statistic = sum((counts[value] - expected) ** 2 / expected for value in values)
    freedom = len(values) - 1
    assert statistic <= freedom + 5 * (2 * freedom) ** 0.5


def test_the_seeds_of_a_set_do_not_repeat() -> None:
    seeds = [seed for name in "ab" for images in "cd" for seed in image_seeds(name, images, 500)]
    assert len(set(seeds)) == len(seeds)


def test_a_seed_depends_on_the_position_and_not_on_how_many_images_there_are() -> None:
    assert image_seeds("cell", "set", 50) == image_seeds("cell", "set", 80)[:50]


class Witness(nn.Module):
    """A victim that remembers what it saw, and tells images apart by their brightest region."""

    trigger = None

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        self.asked_for_gradients = False

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        self.asked_for_gradients |= torch.is_grad_enabled()
        return nn.functional.adaptive_avg_pool2d(images.mean(dim=1), 3).flatten(1)


class Cell:
    """What ``make_cell`` asks of a job, with 23 test images and four victims: one set of clean images, or four of
    attacked ones, two surrogates of each of two seeds."""

    def __init__(self, images: Tensor, sets: int, preprocessing: dict[str, Any] | None, batch_size: int = 10) -> None:
        self.sets = [images.roll(shift, dims=0) for shift in range(sets)]
        self.victims = [Witness() for _ in range(4)]
        self.spec = SimpleNamespace(path="cell", inputs={"test": [SimpleNamespace(path="test")]})
        self.parameters = CellParameters(
            surrogates="clean" if sets == 1 else "standard",
            attack="clean" if sets == 1 else "pgd",
            column="x",
            networks=["a", "b"],
            seeds=[0, 1],
            preprocessing=preprocessing,
            images=len(images),
            batch_size=batch_size,
            block=5,
            threads=1,
        )
        make_cell(cast("Job[CellParameters]", self))

    def labelled(self, role: str, count: int) -> tuple[Tensor, Tensor]:
        assert role == "test"
        return self.sets[0], torch.zeros(count, dtype=torch.int64)

    def networks(self, role: str) -> list[Witness]:
        assert role == "victims"
        return self.victims

    def records(self, role: str) -> list[SimpleNamespace]:
        assert role == "images"
        source = DatasetParameters(source={}, split="test", classes=9, image_size=28).as_json()
        return [
            SimpleNamespace(
                path=f"set{number}", kind="dataset" if len(self.sets) == 1 else "purified", parameters=source
            )
            for number in range(len(self.sets))
        ]

    def claimed_records(self, role: str) -> list[SimpleNamespace]:
        """As of networks that were trained elsewhere, whose records tell nothing of training."""
        assert role == "victims"
        return [SimpleNamespace(checks={}) for _ in self.victims]

    def images(self, record: SimpleNamespace, count: int) -> Tensor:
        return self.sets[int(record.path.removeprefix("set"))][:count]

    def publish_by_product(self, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
        self.classes = arrays["classes"]

    def publish_json(self, content: Content) -> None:
        self.content = content

    def seen(self) -> list[Tensor]:
        """All that each victim saw."""
        return [torch.cat(victim.seen) for victim in self.victims]


class TestCell:
    @pytest.fixture
    def clean(self, fashion16_test: tuple[Tensor, Tensor]) -> Tensor:
        return fashion16_test[0][:23]

    @pytest.mark.parametrize("sets", [1, 4])
    def test_preprocesses_each_image_of_each_set_once(
        self, sets: int, clean: Tensor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[tuple[Tensor, list[int]]] = []

        def count(_: Preprocessing, images: Tensor, seeds: Sequence[int]) -> Tensor:
            calls.append((images, list(seeds)))
            return 1 - images

        monkeypatch.setattr(PREPROCESSING["bit_depth"], "apply", count)
        cell = Cell(clean, sets, {"class": "bit_depth", "depth": 2})
        given = torch.cat([to_float(images) for images in cell.sets])
        assert torch.equal(torch.cat([images for images, _ in calls]), given)
        seeds = [seed for _, seeds in calls for seed in seeds]
        assert seeds == [seed for number in range(sets) for seed in image_seeds("cell", f"set{number}", 23)]
        shown = [[0]] * 4 if sets == 1 else [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]
        for seen, numbers in zip(cell.seen(), shown, strict=True):
            assert torch.equal(seen, torch.cat([1 - to_float(cell.sets[number]) for number in numbers]))

    @every_filter
    def test_victims_see_the_preprocessed_images(self, method: dict[str, Any], clean: Tensor) -> None:
        cell = Cell(clean, 1, {"class": method["class"], **method["parameters"]})
        expected = configured(method).apply(to_float(clean), image_seeds("cell", "set0", 23))
        assert all(torch.equal(seen, expected) for seen in cell.seen())
        assert not torch.equal(expected, to_float(clean))

    def test_without_preprocessing_victims_see_the_images(self, clean: Tensor) -> None:
        assert all(torch.equal(seen, to_float(clean)) for seen in Cell(clean, 1, None).seen())

    def test_the_size_of_batches_does_not_matter(self, clean: Tensor) -> None:
        recipe = {"class": "resize_pad", "scale": 1.2}
        one, other = (Cell(clean, 4, recipe, batch_size) for batch_size in (1, 50))
        assert np.array_equal(one.classes, other.classes)
        assert one.content == other.content
        assert all(torch.equal(*pair) for pair in zip(one.seen(), other.seen(), strict=True))

    def test_predictions_are_ordered_by_seed_victim_surrogate_and_image(self, clean: Tensor) -> None:
        cell = Cell(clean, 4, {"class": "jpeg", "quality": 50})
        assert cell.classes.shape == (2, 2, 2, 23)
        for (seed, surrogate), images in zip(product(range(2), range(2)), cell.sets, strict=True):
            compressed = made("jpeg", quality=50).apply(to_float(images), range(23))
            expected = Witness()(compressed).argmax(dim=1).numpy()
            assert (cell.classes[seed, :, surrogate] == expected).all()

    def test_victims_are_asked_without_gradients(self, clean: Tensor) -> None:
        cell = Cell(clean, 1, {"class": "gaussian", "sigma": 0.6})
        assert not any(victim.asked_for_gradients for victim in cell.victims)
