"""Batches of augmented images from a data set that is held as bytes, in memory or in a file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor

from trigger_activation.errors import UserError
from trigger_activation.science.images import middle, to_float
from trigger_activation.science.training.settings import Augmentation


def augmented_batches(
    images: Tensor,
    labels: Tensor,
    batch_size: int,
    augmentation: Augmentation,
    order: Generator,
    randomness: Generator,
    side: int | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in a random order; an incomplete last batch is dropped, as the paper's recipe does.

    Args:
        images: uint8 (N, H, H, 3), on the device of the labels or on the CPU.
        labels: (N,).
        batch_size: at most N.
        augmentation: what is done to the images.
        order: draws the permutation.
        randomness: draws crops and flips.
        side: of the images in a batch, in pixels, at most H; H unless given.

    Raises:
        UserError: fewer images than one batch holds.
    """
    if len(images) < batch_size:
        raise UserError(
            f"the training set has {len(images)} images, fewer than one batch of {batch_size}: "
            "lower training.batch_size"
        )
    count, stored = images.shape[:2]
    side = side or stored
    permutation = torch.randperm(count, generator=order, device=order.device)
    places = permutation.to(images.device)
    # All at once, since the CPU has to wait for a GPU before it knows them.
    parts = random_parts(count, stored, augmentation, randomness).tolist() if augmentation.crop == "resized" else []
    for start in range(0, count - batch_size + 1, batch_size):
        chosen = slice(start, start + batch_size)
        batch = on_device(images[places[chosen]], order.device)
        if augmentation.crop == "resized":
            batch = resized_parts(batch, parts[chosen], side)
        else:
            batch = shifted(middle(batch, side), augmentation, randomness)
        yield to_float(batch), labels[permutation[chosen]]


def on_device(batch: Tensor, device: torch.device) -> Tensor:
    """A batch where its computation takes place; the CPU does not wait for its journey to a GPU."""
    if batch.is_cpu and device.type == "cuda":
        batch = batch.pin_memory()
    return batch.to(device, non_blocking=True)


def random_parts(count: int, side: int, augmentation: Augmentation, randomness: Generator) -> Tensor:
    """Random parts of square images as (top, left, height, width, flipped), int64 (count, 5).

    Of 8 to 100 % of the area and with an aspect ratio from 3/4 to 4/3 (Szegedy et al. 2015), the first of ten that
    lies inside the image, otherwise all of it: the distribution of torchvision's RandomResizedCrop.
    """
    shape = (4, 10, count)
    area, aspect, y, x = torch.rand(shape, generator=randomness, device=randomness.device, dtype=torch.float64)
    area = side**2 * (0.08 + 0.92 * area)
    aspect = torch.exp(math.log(4 / 3) * (2 * aspect - 1))
    heights, widths = (area / aspect).sqrt().round(), (area * aspect).sqrt().round()
    inside = (heights <= side) & (widths <= side)
    heights, widths = (torch.where(inside, lengths, side) for lengths in (heights, widths))
    tops, lefts = (y * (side - heights + 1)).floor(), (x * (side - widths + 1)).floor()
    first = inside.to(torch.uint8).argmax(dim=0, keepdim=True)
    parts = [values.gather(0, first)[0] for values in (tops, lefts, heights, widths)]
    return torch.stack([*parts, flips(count, augmentation, randomness)], dim=1).long()


def resized_parts(images: Tensor, parts: Sequence[Sequence[int]], side: int) -> Tensor:
    """One part (top, left, height, width, flipped) of each image (B, H, W, 3), resized to (B, side, side, 3)."""
    from torchvision.transforms.v2.functional import resized_crop  # type: ignore[attr-defined]

    resized = []
    for image, (top, left, height, width, flipped) in zip(images.permute(0, 3, 1, 2), parts, strict=True):
        part = resized_crop(image, top, left, height, width, [side, side], antialias=True)
        resized.append((part.flip(2) if flipped else part).permute(1, 2, 0))
    return torch.stack(resized)


def shifted(images: Tensor, augmentation: Augmentation, randomness: Generator) -> Tensor:
    """Square images (B, H, H, 3), some flipped; ``crop: pad`` cuts them at random out of a zero margin."""
    count, side, device = len(images), images.shape[1], randomness.device
    steps = torch.arange(side, device=device)
    shifts = torch.zeros(2, count, 1, dtype=torch.int64, device=device)
    if augmentation.crop == "pad":
        margins = (0, 0, *[augmentation.padding] * 4)
        images = torch.nn.functional.pad(images, margins)
        shifts.random_(0, 2 * augmentation.padding + 1, generator=randomness)
    rows, columns = shifts[0] + steps, shifts[1] + steps
    columns = torch.where(flips(count, augmentation, randomness)[:, None], columns.flip(1), columns)
    within = torch.arange(count, device=device)[:, None, None]
    return images[within, rows[:, :, None], columns[:, None, :]]


def flips(count: int, augmentation: Augmentation, randomness: Generator) -> Tensor:
    """Which of some images are flipped, bool (count,): none or each with probability 1/2."""
    if not augmentation.horizontal_flip:
        return torch.zeros(count, dtype=torch.bool, device=randomness.device)
    return torch.rand(count, generator=randomness, device=randomness.device) < 0.5
