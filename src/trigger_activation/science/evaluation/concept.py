"""Examples that show what a trigger does (paper, Figure 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

AMPLIFICATION = 10
"""How much triggers and perturbations are amplified for the eye, as in the paper."""


def choose_examples(labels: Tensor, before: Tensor, after: Tensor, count: int) -> list[int]:
    """Positions of the first images of different classes that an attack turns from right to wrong.

    If these are too few, the first that are right before the attack follow, and then the first of all.

    Args:
        labels: the true classes (N,).
        before: what a network predicts for the clean images (N,).
        after: what it predicts for the adversarial ones (N,).
        count: how many images, or as many as there are classes.
    """
    right = before == labels
    order = torch.cat([group.nonzero() for group in (fooled(labels, before, after), right, torch.ones_like(right))])
    chosen: dict[int, int] = {}
    for position in order.flatten().tolist():
        chosen.setdefault(int(labels[position]), position)
    return list(chosen.values())[:count]


def fooled(labels: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Whether an attack turns the prediction from right to wrong, as booleans (N,)."""
    return (before == labels) & (after != labels)


def probabilities(network: nn.Module, images: Tensor) -> Tensor:
    """Class probabilities (N, C) of images (N, 3, H, W); the network is in evaluation mode."""
    with torch.no_grad():
        logits: Tensor = network(images)
    return logits.double().softmax(dim=1)


def as_picture(image: Tensor) -> Tensor:
    """An image (3, H, W), clipped to [0, 1], as uint8 (H, W, 3)."""
    return (image * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)


def amplified(perturbation: Tensor) -> Tensor:
    """A perturbation (3, H, W) as uint8 (H, W, 3): 0.5 + 10 delta, clipped to [0, 1]."""
    return as_picture(0.5 + AMPLIFICATION * perturbation)
