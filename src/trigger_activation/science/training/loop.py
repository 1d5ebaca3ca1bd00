"""The one training loop (paper, section IV-A): SGD, cosine schedule, clipped gradients; the paradigm is the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor, nn

from trigger_activation.errors import UserError
from trigger_activation.science.precision import InBfloat16
from trigger_activation.science.snapshots import NO_SNAPSHOTS, Snapshots, TrainingState, default_generator
from trigger_activation.science.training.data import augmented_batches
from trigger_activation.science.training.paradigms import Paradigm
from trigger_activation.science.training.settings import TrainingSettings

if TYPE_CHECKING:
    from trigger_activation.science.training.paradigms import BatchLoss


@dataclass(frozen=True)
class Streams:
    """Independent random streams, all on the device of the data."""

    trigger: Generator
    """The first trigger, and the steps of one that walks at random."""
    order: Generator
    augmentation: Generator
    noise: Generator
    trigger_pass: Generator
    """Order and augmentation of the pass that moves the trigger."""


@dataclass(frozen=True)
class EpochReport:
    """What one epoch did."""

    epoch: int
    epochs: int
    loss: float
    """Mean over the epoch's batches."""
    trigger_moved: bool


def train(
    network: nn.Module,
    paradigm: Paradigm,
    images: Tensor,
    labels: Tensor,
    settings: TrainingSettings,
    streams: Streams,
    report: Callable[[EpochReport], None] = lambda _: None,
    snapshots: Snapshots = NO_SNAPSHOTS,
    side: int | None = None,
) -> Tensor | None:
    """Train a network in place.

    Args:
        network: freshly initialised, on the device of the labels.
        paradigm: the objective.
        images: uint8 (N, H, H, 3), there or on the CPU.
        labels: int64 (N,).
        settings: optimiser, schedule, augmentation.
        streams: all randomness.
        report: told about each epoch, those of an interrupted training included.
        snapshots: the state of an interrupted training, to go on from, and of this one after each epoch.
        side: of what the network sees, in pixels, at most H; H unless given.

    Returns:
        The trigger (3, side, side), or None if the paradigm has none.

    Raises:
        UserError: the loss is not finite, or the interrupted training was another one.
    """
    side = side or images.shape[1]

    def batches(order: Generator, randomness: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        return augmented_batches(images, labels, settings.batch_size, settings.augmentation, order, randomness, side)

    network.to(memory_format=torch.channels_last)
    optimizer = _optimizer(network, settings)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=settings.epochs)
    state = TrainingState(
        {"network": network, "optimizer": optimizer, "schedule": schedule},
        {**vars(streams), "layers": default_generator(labels.device)},
        paradigm.initial_trigger((3, side, side), streams.trigger),
    )
    state.restore(snapshots, labels.device)
    seen = InBfloat16(network, labels.device.type) if settings.precision == "bfloat16" else network
    for epoch, batch_loss in enumerate(paradigm.losses(settings.epochs, state.carried), start=1):
        moved = state.trigger is not None and paradigm.updates_trigger(epoch, settings.epochs)
        if epoch > len(state.losses):
            epoch_batches = batches(streams.order, streams.augmentation)
            loss = train_epoch(seen, batch_loss, epoch_batches, state.trigger, optimizer, settings, streams.noise)
            if state.trigger is not None and moved:
                state.trigger = paradigm.updated_trigger(
                    seen, state.trigger, lambda: batches(streams.trigger_pass, streams.trigger_pass), streams.trigger
                )
            schedule.step()
            state.losses.append(loss)
            state.save(snapshots, settings.epochs)
        report(EpochReport(epoch, settings.epochs, state.losses[epoch - 1], moved))
    return state.trigger


def _optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.SGD:
    return torch.optim.SGD(
        network.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        fused=True,
    )


def train_epoch(
    network: nn.Module,
    batch_loss: BatchLoss,
    batches: Iterator[tuple[Tensor, Tensor]],
    trigger: Tensor | None,
    optimizer: torch.optim.Optimizer,
    settings: TrainingSettings,
    noise: Generator,
) -> float:
    """One pass over the batches; returns the mean loss."""
    network.train()
    losses = []
    for images, labels in batches:
        loss = batch_loss(network, images, labels, trigger, noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), settings.gradient_clip)
        optimizer.step()
        losses.append(loss.detach())
    mean = float(torch.stack(losses).mean())
    if not math.isfinite(mean):
        raise UserError(f"training diverged to a loss of {mean}: lower training.learning_rate in the protocol")
    return mean
