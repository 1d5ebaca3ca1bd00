"""Studies of triggers: their magnitude, and what happens while their entries are flipped (paper, Figure 2)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from trigger_activation.lazy import functional
from trigger_activation.science.evaluation.results import FlipPoint
from trigger_activation.science.images import to_float


def mean_square(trigger: Tensor) -> float:
    """Mean of tau^2 over all entries (paper, Table XI)."""
    return float(trigger.double().square().mean())


def as_picture(trigger: Tensor) -> Tensor:
    """The trigger as uint8 (H, W, 3): 0.5 + tau / (2 max|tau|)."""
    scaled = 0.5 + trigger / (2 * trigger.abs().max().clamp_min(1e-12))
    return (scaled * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)


def flip_point(
    network: nn.Module,
    trigger: Tensor,
    images: Tensor,
    labels: Tensor,
    fraction: float,
    masks: int,
    batch_size: int,
    generator: Generator,
) -> FlipPoint:
    """f_t at x + delta, where delta is -tau with a random fraction of the entries flipped to +tau.

    At 0 the trigger is cancelled and the network sees x; at 1 it sees x + 2 tau.

    Args:
        network: the network f without its trigger, in evaluation mode.
        trigger: tau (3, H, W).
        images: uint8 (N, H, W, 3).
        labels: (N,).
        fraction: of the entries that are flipped.
        masks: independent masks, one for the whole set each.
        batch_size: of the evaluation.
        generator: draws the masks.
    """
    accuracies, losses = [], []
    for _ in range(masks):
        delta = torch.where(random_mask(trigger.shape, fraction, generator), trigger, -trigger)
        hits, loss = 0, 0.0
        for batch, truth in zip(torch.split(images, batch_size), torch.split(labels, batch_size), strict=True):
            with torch.no_grad():
                logits = network(to_float(batch) + trigger + delta)
            hits += int((logits.argmax(dim=1) == truth).sum())
            loss += float(functional.cross_entropy(logits, truth, reduction="sum"))
        accuracies.append(100 * hits / len(labels))
        losses.append(loss / len(labels))
    return FlipPoint(fraction=fraction, accuracy=accuracies, loss=losses)


def random_mask(shape: torch.Size, fraction: float, generator: Generator) -> Tensor:
    """A boolean mask with exactly round(fraction * entries) entries set."""
    entries = shape.numel()
    order = torch.randperm(entries, generator=generator, device=generator.device)
    mask = torch.zeros(entries, dtype=torch.bool, device=generator.device)
    mask[order[: round(fraction * entries)]] = True
    return mask.reshape(shape)
