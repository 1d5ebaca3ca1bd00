"""Attackers who know more than a surrogate.

Adversarial images stay floats, as in white-box attacks: rounding to bytes would take from the attacker.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from trigger_activation.science.attacks import Attack
from trigger_activation.science.evaluation.accuracy import predict_each
from trigger_activation.science.freezing import frozen
from trigger_activation.science.images import to_float


def withstood(
    victim: nn.Module,
    attacked: nn.Module,
    attack: Attack,
    images: Tensor,
    labels: Tensor,
    batch_size: int,
    generator: Generator,
    spares: bool,
) -> tuple[Tensor, float]:
    """Which images a victim classifies correctly that were crafted on another network, or on itself.

    Args:
        victim: maps [0, 1] images to logits, its trigger and preprocessing included; left in the state it came in.
        attacked: what the attack asks and differentiates; with randomness of its own, if it has some.
        attack: run in batches.
        images: uint8 (N, H, W, 3).
        labels: (N,).
        batch_size: of the attack and of predictions.
        generator: source of the attack's randomness, on the images' device.
        spares: whether the attacker leaves an image as it is that the attacked network misclassifies anyway.

    Returns:
        bool (N,), and the largest change of a pixel in percent of the budget.

    Raises:
        UserError: a network returns NaN, or has no class for a label.
    """
    right: list[Tensor] = []
    largest = 0.0
    for batch, truth in zip(torch.split(images, batch_size), torch.split(labels, batch_size), strict=True):
        clean = to_float(batch)
        adversarial = attack.perturb(attacked, clean, truth, generator)
        if spares:
            adversarial = torch.where(_correct(attacked, clean, truth)[:, None, None, None], adversarial, clean)
        largest = max(largest, float((adversarial - clean).abs().max()))
        right.append(_correct(victim, adversarial, truth))
    return torch.cat(right), 100 * largest / float(attack.eps)


def _correct(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    with frozen(network):
        return predict_each([network], [images])[0] == labels
