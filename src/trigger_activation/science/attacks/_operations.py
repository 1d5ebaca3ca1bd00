"""The pool of image operations that L2T chooses from (Zhu et al. 2024): 98, in families of up to ten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from trigger_activation.lazy import torch, torchvision
from trigger_activation.science.attacks._blocks import shuffle_blocks
from trigger_activation.science.attacks._resizing import diversify, draw_geometry

if TYPE_CHECKING:
    from torch import Generator, Tensor

Apply = Callable[["Tensor", "Generator"], Iterator["Tensor"]]
"""Images (B, 3, H, W) and a source of randomness -> altered copies of the same shape."""
Family = Literal[
    "identity",
    "rotate",
    "scale",
    "resize_pad",
    "block_shuffle",
    "admix",
    "dropout",
    "block_mask",
    "spectrum",
    "crop",
    "translate",
]

DROPOUTS = [
    *([n / 10 for n in range(1, last + 1)] for last in range(1, 6)),
    *([n / 10 for n in range(1, 6) if n != left_out] for left_out in (1, 2, 3, 4, 5)),
]
"""Sets of probabilities; the official code lists its fourth, which leaves out .5, once more at the end."""


class Operation(NamedTuple):
    """One operation of the pool."""

    copies: int
    """How many altered copies it makes of a batch."""
    apply: Apply


def identity(images: Tensor, generator: Generator) -> Iterator[Tensor]:
    """The images themselves."""
    del generator
    yield images


def rotate(angle: int, images: Tensor, generator: Generator) -> Iterator[Tensor]:
    """By an angle in degrees, its half, its quarter, ...: five copies, nearest pixels, zeros around."""
    del generator
    for copy in range(5):
        yield torchvision.transforms.functional.rotate(images, angle / 2**copy)


def scale(copies: int, images: Tensor, generator: Generator) -> Iterator[Tensor]:
    """Darker and darker: all pixels times 1, 1/2, 1/4, ..."""
    del generator
    for copy in range(copies):
        yield images / 2**copy


def resize_pad(rate: float, images: Tensor, generator: Generator) -> Iterator[Tensor]:
    """DI-FGSM's transform, always."""
    side = images.shape[-1]
    canvas = int(side * rate)
    yield diversify(images, *draw_geometry(side, canvas, generator)) if canvas > side else images


def block_shuffle(blocks: int, images: Tensor, generator: Generator) -> Iterator[Tensor]:
    """Ten copies whose blocks change places; on small images some have no pixel."""
    for _ in range(10):
        yield shuffle_blocks(images, blocks, 0.0, generator)


def admix(others: int, strength: float, images: Tensor, generator: Generator) -> Iterator[Tensor]:
    """A share of other images of the batch added, each sum also at a half and a quarter of its brightness."""
    count = len(images)
    orders = [torch.randperm(count, generator=generator, device=generator.device) for _ in range(others)]
    for halvings in range(3):
        for order in orders:
            yield (images + strength * images[order.to(images.device)].detach()) / 2**halvings


def dropout(probabilities: Sequence[float], images: Tensor, generator: Generator) -> Iterator[Tensor]:
    """One copy for each probability, with which every value becomes 0; the others stay as they are."""
    for probability in probabilities:
        yield images * (_uniform_like(images, generator) >= probability)


def block_mask(blocks: int, images: Tensor, generator: Generator) -> Iterator[Tensor]:
    """Five copies with one block of a regular grid set to 0."""
    edges = [[round(side / blocks * i) for i in range(blocks + 1)] for side in images.shape[2:]]
    for _ in range(5):
        row, column = torch.randint(blocks, (2,), generator=generator, device=generator.device).tolist()
        mask = torch.ones_like(images[:1, :1])
        mask[:, :, edges[0][row] : edges[0][row + 1], edges[1][column] : edges[1][column + 1]] = 0
        yield images * mask


def spectrum(rho: float, noise: float, copies: int, images: Tensor, generator: Generator) -> Iterator[Tensor]:
    """Noise added, then every coefficient of the cosine transform times U(1 - rho, 1 + rho)."""
    for _ in range(copies):
        noisy = images + torch.empty_like(images).normal_(0, noise, generator=generator)
        factors = 1 + rho * (2 * _uniform_like(images, generator) - 1)
        yield inverse_dct(dct(noisy) * factors)


def crop(ratio: float, images: Tensor, generator: Generator) -> Iterator[Tensor]:
    """Five centre crops, from a little more than the ratio to the whole image, resized back (bilinear)."""
    del generator
    height, width = images.shape[-2:]
    for copy in range(5):
        share = ratio + (1 - ratio) * (copy + 1) / 5
        box = int(height * share), int(width * share)
        corner = (height - box[0]) // 2, (width - box[1]) // 2
        yield torchvision.transforms.functional.resized_crop(images, *corner, *box, [height, width])


def translate(offset: float, images: Tensor, generator: Generator) -> Iterator[Tensor]:
    """Down and right by fractions of one pixel, nearest pixels: so either not at all or by one."""
    del generator
    for copy in range(5):
        shift = offset * (copy + 1) / 5
        # torchvision takes fractions too.
        shifts = cast("list[int]", [shift, shift])
        yield torchvision.transforms.functional.affine(images, 0, shifts, 1, [0.0])


def dct(images: Tensor) -> Tensor:
    """The orthonormal two-dimensional DCT-II of each channel (..., H, W)."""
    rows, columns = (_basis(side).to(images) for side in images.shape[-2:])
    return rows @ images @ columns.T


def inverse_dct(coefficients: Tensor) -> Tensor:
    """The inverse of :func:`dct`."""
    rows, columns = (_basis(side).to(coefficients) for side in coefficients.shape[-2:])
    return rows.T @ coefficients @ columns


@cache
def _basis(side: int) -> Tensor:
    """Orthonormal rows: sqrt(2 / n) cos(pi (2 i + 1) k / 2 n), the first divided by sqrt(2)."""
    positions = torch.arange(side, dtype=torch.float64)
    rows = torch.cos(torch.pi * positions[:, None] * (2 * positions + 1) / (2 * side)).mul_((2 / side) ** 0.5)
    rows[0] /= 2**0.5
    return rows


def _uniform_like(images: Tensor, generator: Generator) -> Tensor:
    return torch.empty_like(images).uniform_(generator=generator)


def pool(families: Sequence[Family], noise: float, spectrum_copies: int) -> list[Operation]:
    """The operations of some families, in this order.

    Args:
        families: names of families.
        noise: standard deviation that ``spectrum`` adds, in [0, 1] pixels.
        spectrum_copies: how many copies ``spectrum`` makes; 10 in one published code and 5 in another.
    """
    tenths, twentieths = [n / 10 for n in range(1, 10)], [n / 20 for n in range(10)]
    strengths = [(others, strength) for strength in (0.2, 0.4) for others in range(1, 6)]
    members: dict[Family, list[Operation]] = {
        "identity": [Operation(1, identity)],
        "rotate": [Operation(5, partial(rotate, angle)) for angle in range(30, 301, 30)],
        "scale": [Operation(n, partial(scale, n)) for n in range(1, 11)],
        "resize_pad": [Operation(1, partial(resize_pad, 1.1 + more)) for more in twentieths],
        "block_shuffle": [Operation(10, partial(block_shuffle, blocks)) for blocks in range(3, 13)],
        "admix": [Operation(3 * others, partial(admix, others, strength)) for others, strength in strengths],
        "dropout": [Operation(len(shares), partial(dropout, shares)) for shares in DROPOUTS],
        "block_mask": [Operation(5, partial(block_mask, blocks)) for blocks in range(2, 12)],
        "spectrum": [Operation(spectrum_copies, partial(spectrum, rho, noise, spectrum_copies)) for rho in tenths],
        "crop": [Operation(5, partial(crop, ratio)) for ratio in tenths],
        "translate": [Operation(5, partial(translate, 0.5 + more)) for more in twentieths[:9]],
    }
    return [operation for family in families for operation in members[family]]
