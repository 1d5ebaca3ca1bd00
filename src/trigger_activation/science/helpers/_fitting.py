"""Minimises a loss over images with Adam, for the helpers that are trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from trigger_activation.errors import UserError
from trigger_activation.lazy import torch
from trigger_activation.science.snapshots import Snapshots, Stateful, TrainingState

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn
    from torch.optim.swa_utils import AveragedModel


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
    snapshots: Snapshots,
    averaged: AveragedModel | None = None,
) -> None:
    """Train a network in place.

    Args:
        network: whose parameters are trained.
        loss_of: the mean loss of one batch of images.
        images: uint8 (N, H, W, 3).
        generator: draws the order of the images, on their device, and whatever the loss draws.
        report: told the epoch, counted from 1, and its mean loss, those of an interrupted training included.
        epochs: how often all images are seen.
        batch_size: the last batch of an epoch may be smaller.
        learning_rate: of Adam.
        snapshots: the state of an interrupted training, to go on from, and of this one after each epoch.
        averaged: follows the network after each step.

    Raises:
        UserError: the loss is not finite, or the interrupted training was another one.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    parts: dict[str, Stateful] = {"network": network, "optimizer": optimizer}
    if averaged is not None:
        parts["averaged"] = averaged
    state = TrainingState(parts, {"training": generator})
    state.restore(snapshots, images.device)

    def step(chosen: Tensor) -> Tensor:
        loss = loss_of(images[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if averaged is not None:
            averaged.update_parameters(network)
        return loss.detach()

    network.train()
    for epoch in range(1, epochs + 1):
        if epoch > len(state.losses):
            order = torch.randperm(len(images), generator=generator, device=images.device)
            mean = float(torch.stack([step(chosen) for chosen in torch.split(order, batch_size)]).mean())
            if not math.isfinite(mean):
                raise UserError(f"a helper network diverged to a loss of {mean}: lower its learning_rate")
            state.losses.append(mean)
            state.save(snapshots, epochs)
        report(epoch, state.losses[epoch - 1])
