"""Preprocessing against Pillow, scipy, numpy and torchvision."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Generator, Tensor
from torchvision.transforms import v2

from trigger_activation.science.images import to_float
from trigger_activation.science.preprocessing import PREPROCESSING
from trigger_activation.science.preprocessing.resize_pad import draw_place

Array = NDArray[Any]
SIDES = [(16, 16), (32, 32), (38, 38), (33, 47), (224, 224)]


def applied(name: str, images: Tensor, seeds: Sequence[int] | None = None, **parameters: Any) -> Tensor:
    return PREPROCESSING[name](**parameters).apply(images, range(len(images)) if seeds is None else seeds)


def noise(*shape: int) -> Tensor:
    """Images with all the frequencies and colours that bytes can have."""
    return torch.randint(0, 256, shape, generator=Generator().manual_seed(0)) / 255


@pytest.fixture
def real(fashion16_test: tuple[Tensor, Tensor]) -> Tensor:
    return to_float(fashion16_test[0][:40])


def by_pillow(image: Array, quality: int) -> Array:
    """uint8 (H, W, 3) through a file of Pillow's default settings."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def assert_pillows_bytes(images: Tensor, quality: int) -> None:
    levels = np.rint(images.permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)
    expected = np.stack([by_pillow(image, quality) for image in levels])
    compressed = applied("jpeg", images, quality=quality).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(compressed, expected.astype(np.float32) / np.float32(255))


class TestJPEGIsPillows:
    @pytest.mark.parametrize("quality", range(1, 101))
    def test_at_every_quality(self, quality: int, real: Tensor) -> None:
        assert_pillows_bytes(real[:4], quality)
        assert_pillows_bytes(noise(2, 3, 32, 32), quality)

    @pytest.mark.parametrize("sides", SIDES)
    def test_at_every_size(self, sides: tuple[int, int]) -> None:
        assert_pillows_bytes(noise(2, 3, *sides), 50)

    def test_for_images_between_the_grey_levels(self) -> None:
        images = (noise(8, 3, 32, 32) * 0.99 + 0.003).clamp(0, 1)
        assert_pillows_bytes(images, 75)

    def test_for_images_of_any_memory_layout(self, real: Tensor) -> None:
        assert_pillows_bytes(real.contiguous(), 50)
        assert_pillows_bytes(real.contiguous(memory_format=torch.channels_last), 50)


FORMULAS: dict[str, Callable[[Array, int], Array]] = {
    "round_levels": lambda x, depth: np.rint(x * (2**depth - 1)) / (2**depth - 1),
    "round_pow2": lambda x, depth: np.rint(x * 2**depth) / 2**depth,
    "floor_pow2": lambda x, depth: np.floor(x * 2**depth) / 2**depth,
}


@pytest.mark.parametrize("depth", range(1, 9))
@pytest.mark.parametrize("mode", FORMULAS)
def test_bit_depth_reduction_is_its_formula(mode: str, depth: int) -> None:
    levels = np.arange(256) / 255
    images = torch.tensor(levels, dtype=torch.float32).reshape(1, 1, 16, 16).expand(2, 3, 16, 16)
    expected = FORMULAS[mode](levels, depth).reshape(16, 16)
    reduced = applied("bit_depth", images, depth=depth, mode=mode).numpy()
    np.testing.assert_allclose(reduced, np.broadcast_to(expected, (2, 3, 16, 16)), atol=1e-7)


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize(("sigma", "window"), [(0.6, 5), (0.7, 5), (1.2, 3), (1.2, 9), (3.0, 5), (3.0, 19)])
def test_the_gaussian_filter_is_scipys(sigma: float, window: int, sides: tuple[int, int]) -> None:
    # What torch calls reflect (the border pixel is not repeated) is `mirror` in scipy.
    images = noise(2, 3, *sides).double()
    truncate = window // 2 / sigma
    expected = ndimage.gaussian_filter(images.numpy(), (0, 0, sigma, sigma), mode="mirror", truncate=truncate)
    filtered = applied("gaussian", images, sigma=sigma, window=window).numpy()
    np.testing.assert_allclose(filtered, expected, atol=1e-12)


def by_torchvision(images: Tensor, seeds: Sequence[int], canvas: int, mode: v2.InterpolationMode) -> Tensor:
    """One image after the other, at the places that were drawn for them."""
    padded = []
    for image, seed in zip(images, seeds, strict=True):
        size, top, left = draw_place(images.shape[-1], canvas, seed)
        resized = v2.functional.resize(image, [size, size], interpolation=mode, antialias=False)
        padded.append(v2.functional.pad(resized, [left, top, canvas - size - left, canvas - size - top]))
    return torch.stack(padded)


@pytest.mark.parametrize(("side", "scale", "canvas"), [(16, 1.2, 19), (32, 1.2, 38), (224, 1.1, 246), (25, 1.16, 29)])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
class TestResizingAndPaddingIsTorchvisions:
    def test_without_resizing_back(self, interpolation: str, side: int, scale: float, canvas: int) -> None:
        images, seeds = noise(20, 3, side, side), range(100, 120)
        mode = v2.InterpolationMode(interpolation)
        placed = applied("resize_pad", images, seeds, scale=scale, interpolation=interpolation)
        torch.testing.assert_close(placed, by_torchvision(images, seeds, canvas, mode), atol=1e-6, rtol=0)

    def test_with_resizing_back(self, interpolation: str, side: int, scale: float, canvas: int) -> None:
        images, seeds = noise(20, 3, side, side), range(100, 120)
        mode = v2.InterpolationMode(interpolation)
        expected = v2.functional.resize(
            by_torchvision(images, seeds, canvas, mode), [side, side], mode, antialias=False
        )
        back = applied("resize_pad", images, seeds, scale=scale, interpolation=interpolation, resize_back=True)
        torch.testing.assert_close(back, expected, atol=1e-6, rtol=0)


def test_the_resized_image_is_pillows() -> None:
    images, seeds = noise(30, 3, 32, 32), range(30)
    placed = applied("resize_pad", images, seeds, scale=1.2)
    for image, result, seed in zip(images, placed, seeds, strict=True):
        size, top, left = draw_place(32, 38, seed)
        for channel, filled in zip(image.numpy(), result.numpy(), strict=True):
            expected = np.asarray(Image.fromarray(channel).resize((size, size), Image.Resampling.BILINEAR))
            np.testing.assert_allclose(filled[top : top + size, left : left + size], expected, atol=1e-5)
