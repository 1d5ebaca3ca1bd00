"""Images per second of each preprocessing, beside what one would write with the usual libraries.

All get the same float images with channels last, as the data set hands them over, and must return the same images.
kornia has no JPEG but an approximation that gradients pass through, and its bit-depth reduction keeps the high bits of
bytes: those two return other images, which the table says.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import kornia
import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torchvision.transforms import v2

from benchmarks.report import arguments, report
from trigger_activation.science.preprocessing import PREPROCESSING
from trigger_activation.science.preprocessing.resize_pad import draw_place

Filter = Callable[[Tensor], Tensor]
SETTINGS = ((32, 500), (224, 32))
ROUNDS = 15


def images_of(side: int, count: int) -> Tensor:
    """Coarse patterns of bytes, which compress about as well as photographs."""
    coarse = torch.rand(count, 3, side // 8, side // 8, generator=Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    return ((fine * 255).round() / 255).contiguous(memory_format=torch.channels_last)


def pillow_loop(images: Tensor) -> Tensor:
    """JPEG through files in memory."""
    decoded = []
    for image in (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=50)
        decoded.append(np.asarray(Image.open(file)))
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).to(torch.float32) / 255


def torchvision_jpeg(images: Tensor) -> Tensor:
    """JPEG by the transform, which takes bytes."""
    levels = (images * 255).round().to(torch.uint8)
    return v2.JPEG(50)(levels).to(torch.float32) / 255


def torchvision_resize_pad(images: Tensor) -> Tensor:
    """R&P image by image."""
    side = images.shape[-1]
    canvas = int(side * 1.1)
    padded = []
    for seed, image in enumerate(images):
        size, top, left = draw_place(side, canvas, seed)
        resized = v2.functional.resize(image, [size, size], antialias=False)
        padded.append(v2.functional.pad(resized, [left, top, canvas - size - left, canvas - size - top]))
    return torch.stack(padded)


def kornia_jpeg(images: Tensor) -> Tensor:
    """JPEG without rounding and entropy coding."""
    return kornia.enhance.jpeg_codec_differentiable(images, torch.tensor([50.0]))


def kornia_blur(images: Tensor) -> Tensor:
    """The Gaussian filter, rows and columns apart."""
    return kornia.filters.gaussian_blur2d(images, (5, 5), (1.2, 1.2))


OTHER_IMAGES = ("kornia jpeg_codec_differentiable", "kornia posterize")
CASES: dict[str, tuple[dict[str, Any], dict[str, Filter]]] = {
    "jpeg": (
        {"quality": 50},
        {
            "Pillow in a loop": pillow_loop,
            "torchvision v2.JPEG": torchvision_jpeg,
            "kornia jpeg_codec_differentiable": kornia_jpeg,
        },
    ),
    "bit_depth": (
        {"depth": 2},
        {
            "torch": lambda images: torch.floor(images * 4) / 4,
            "kornia posterize": lambda images: kornia.enhance.posterize(images, 2),
        },
    ),
    "gaussian": (
        {"sigma": 1.2},
        {"torchvision v2.GaussianBlur": v2.GaussianBlur(5, (1.2, 1.2)), "kornia gaussian_blur2d": kornia_blur},
    ),
    "resize_pad": ({"scale": 1.1}, {"torchvision v2 in a loop": torchvision_resize_pad}),
}


def fastest(filters: dict[str, Filter], images: Tensor) -> dict[str, float]:
    """Shortest times of some rounds, in each of which the filters take turns, so that they share what disturbs them."""
    times: dict[str, list[float]] = {name: [] for name in filters}
    for _ in range(ROUNDS):
        for name, apply in filters.items():
            start = time.perf_counter()
            apply(images)
            times[name].append(time.perf_counter() - start)
    return {name: min(measured) for name, measured in times.items()}


def measure(name: str, side: int, count: int) -> list[dict[str, Any]]:
    """One row for ours and one for each other way."""
    parameters, others = CASES[name]
    method, images = PREPROCESSING[name](**parameters), images_of(side, count)
    filters: dict[str, Filter] = {"ours": lambda images: method.apply(images, range(len(images))), **others}
    for other in (other for way, other in others.items() if way not in OTHER_IMAGES):
        torch.testing.assert_close(other(images), filters["ours"](images), atol=1e-6, rtol=0)
    seconds = fastest(filters, images)
    return [
        {
            "preprocessing": name,
            "px": side,
            "batch": count,
            "by": way,
            "same images": way not in OTHER_IMAGES,
            "images/s": round(count / seconds[way]),
            "x ours": round(seconds[way] / seconds["ours"], 2),
        }
        for way in filters
    ]


def main() -> None:
    """Measure all with one thread, as jobs have."""
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    report([row for name in CASES for setting in SETTINGS for row in measure(name, *setting)], options.json)


if __name__ == "__main__":
    main()
