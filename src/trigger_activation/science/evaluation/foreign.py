"""Predictions of models that were written elsewhere, which may return anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from trigger_activation.errors import UserError

Model = Callable[[Tensor], Any]
"""Images (B, 3, H, W) in [0, 1] to logits (B, classes); preprocessing, if any, is inside."""


def predicted_classes(model: Model, images: Tensor, classes: int, batch_size: int, device: torch.device) -> Tensor:
    """What a model says of images.

    Args:
        model: a network in whatever mode, or any other callable; left as it came.
        images: float (N, 3, H, W) in [0, 1].
        classes: how many it must know.
        batch_size: of its calls.
        device: where it gets its images.

    Returns:
        Classes (N,), on the CPU.

    Raises:
        UserError: images or logits of another shape, images outside [0, 1], another number of classes, NaN.
    """
    check_images(images)
    if batch_size < 1:
        raise UserError(f"a batch of {batch_size} images is none: give `batch_size` 1 or more")
    with evaluating(model), torch.no_grad():
        batches = torch.split(images, batch_size)
        return torch.cat([_classes(model(batch.to(device)), batch, classes) for batch in batches])


def check_images(images: Tensor) -> None:
    """Refuse what are no images.

    Raises:
        UserError: they are not float (N, 3, H, W) in [0, 1].
    """
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise UserError(
            f"images are {images.dtype} of shape {tuple(images.shape)}, not floats (N, 3, H, W): convert them first"
        )
    if images.numel() and not (images.min() >= 0 and images.max() <= 1):
        low, high = float(images.min()), float(images.max())
        raise UserError(f"images span [{low:g}, {high:g}], not [0, 1]: rescale them, and normalise inside the model")


def _classes(logits: Any, batch: Tensor, classes: int) -> Tensor:
    if not isinstance(logits, Tensor):
        raise UserError(f"the model returned a {type(logits).__name__}: let it return a tensor of logits")
    if logits.ndim != 2 or len(logits) != len(batch):
        raise UserError(
            f"the model returned logits of shape {tuple(logits.shape)} for {len(batch)} images: let it return "
            f"({len(batch)}, {classes})"
        )
    if logits.shape[1] != classes:
        raise UserError(
            f"the model knows {logits.shape[1]} classes, but the data set has {classes}: take a model that was trained "
            "on it"
        )
    if logits.isnan().any():
        raise UserError("the model returned NaN: check its weights, and that it takes images in [0, 1]")
    return logits.argmax(dim=1).cpu()


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Every module in evaluation mode; afterwards each is in the mode that it came in."""
    modes = [(module, module.training) for module in model.modules()] if isinstance(model, nn.Module) else []
    try:
        if isinstance(model, nn.Module):
            model.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training


def device_of(model: Model) -> torch.device:
    """Where a network lies; the CPU for what is none or has no weights."""
    weights = chain(model.parameters(), model.buffers()) if isinstance(model, nn.Module) else iter(())
    first = next(weights, None)
    return torch.device("cpu") if first is None else first.device
