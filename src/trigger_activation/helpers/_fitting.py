"""Minimises a loss over images with Adam, for the helpers that are trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from trigger_activation.errors import UserError
from trigger_activation.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


def minimise(
    network: nn.Module,
    loss_of: Callable[[Tensor], Tensor],
    images: Tensor,
    generator: Generator,
    report: Callable[[int, float], None],
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    after_step: Callable[[], None] = lambda: None,
) -> None:
    """Train a network in place.

    Args:
        network: whose parameters are trained.
        loss_of: the mean loss of one batch of images.
        images: uint8 (N, H, W, 3).
        generator: draws the order of the images, on their device.
        report: told the epoch, counted from 1, and its mean loss.
        epochs: how often all images are seen.
        batch_size: the last batch of an epoch may be smaller.
        learning_rate: of Adam.
        after_step: called after each step.

    Raises:
        UserError: the loss is not finite.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    network.train()
    for epoch in range(1, epochs + 1):
        losses = []
        order = torch.randperm(len(images), generator=generator, device=images.device)
        for chosen in torch.split(order, batch_size):
            loss = loss_of(images[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            after_step()
            losses.append(loss.detach())
        mean = float(torch.stack(losses).mean())
        if not math.isfinite(mean):
            raise UserError(f"a helper network diverged to a loss of {mean}: lower its learning_rate")
        report(epoch, mean)
