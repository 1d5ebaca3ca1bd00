"""Batches of augmented images from a data set that is held in memory as bytes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from trigger_activation.errors import UserError
from trigger_activation.training.settings import Augmentation


def to_float(images: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in [0, 1], channels last in memory."""
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(255)


def augmented_batches(
    images: Tensor,
    labels: Tensor,
    batch_size: int,
    augmentation: Augmentation,
    order: Generator,
    randomness: Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in a random order; an incomplete last batch is dropped, as the paper's recipe does.

    Args:
        images: uint8 (N, H, W, 3).
        labels: (N,).
        batch_size: at most N.
        augmentation: what is done to the images.
        order: draws the permutation.
        randomness: draws crops and flips.

    Raises:
        UserError: fewer images than one batch holds.
    """
    if len(images) < batch_size:
        raise UserError(
            f"the training set has {len(images)} images, fewer than one batch of {batch_size}: "
            "lower training.batch_size"
        )
    if augmentation.crop == "resized":
        raise UserError("augmentation.crop: `resized` is declared but not implemented yet: use `pad` or `none`")
    padded = pad(images, augmentation.padding) if augmentation.crop == "pad" else images
    permutation = torch.randperm(len(images), generator=order, device=order.device)
    for start in range(0, len(images) - batch_size + 1, batch_size):
        chosen = permutation[start : start + batch_size]
        rows, columns = crop_and_flip(len(chosen), images.shape[1], augmentation, randomness)
        batch = padded[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
        yield to_float(batch), labels[chosen]


def pad(images: Tensor, padding: int) -> Tensor:
    """Zero margins around uint8 (N, H, W, 3)."""
    return torch.nn.functional.pad(images, (0, 0, padding, padding, padding, padding))


def crop_and_flip(count: int, side: int, augmentation: Augmentation, randomness: Generator) -> tuple[Tensor, Tensor]:
    """Row and column indices (B, side) of a random crop of the padded image, columns reversed for flipped ones."""
    steps = torch.arange(side, device=randomness.device)
    shifts = torch.zeros(2, count, 1, dtype=torch.int64, device=randomness.device)
    if augmentation.crop == "pad":
        shifts.random_(0, 2 * augmentation.padding + 1, generator=randomness)
    rows, columns = shifts[0] + steps, shifts[1] + steps
    if augmentation.horizontal_flip:
        flipped = torch.rand(count, 1, generator=randomness, device=randomness.device) < 0.5
        columns = torch.where(flipped, columns.flip(1), columns)
    return rows, columns
