"""Diagnostics of the paper's theorems: what they assume and what they conclude, measured on trained networks.

l(x) is the cross entropy at x of the network f *without* its trigger, in nats, and g the mean of its gradient over
images. The theorems take l to be linear between x and x + tau.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from trigger_activation.lazy import functional
from trigger_activation.science.evaluation.results import FirstOrder
from trigger_activation.science.images import to_float


def first_order(network: nn.Module, trigger: Tensor, images: Tensor, labels: Tensor, batch_size: int) -> FirstOrder:
    """Measure what Theorem 1 speaks of (paper, Eq. 8-12).

    Args:
        network: the network f without its trigger, in evaluation mode.
        trigger: tau (3, H, W), of the precision to compute in.
        images: uint8 (N, H, W, 3).
        labels: (N,).
        batch_size: of the evaluation.
    """
    gradient = torch.zeros_like(trigger, dtype=torch.float64)
    without, triggered, gap = 0.0, 0.0, 0.0
    for batch, truth in zip(torch.split(images, batch_size), torch.split(labels, batch_size), strict=True):
        inputs = to_float(batch).to(trigger.dtype)
        before, slopes = losses_and_gradients(network, inputs, truth)
        with torch.no_grad():
            after = functional.cross_entropy(network(inputs + trigger), truth, reduction="none").double()
        gradient += slopes.sum(dim=0)
        without += float(before.sum())
        triggered += float(after.sum())
        gap += float((after - before - (slopes * trigger).sum(dim=(1, 2, 3))).abs().sum())
    count, gradient = len(labels), gradient / len(labels)
    return FirstOrder(
        sign_agreement=sign_agreement(gradient, trigger),
        inner_product=float((gradient * trigger).sum()),
        hoelder_bound=float(trigger.abs().max() * gradient.abs().sum()),
        loss_without_trigger=without / count,
        loss_with_trigger=triggered / count,
        linearity_gap=gap / count,
    )


def losses_and_gradients(network: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """l(x) (B,) and its gradient (B, 3, H, W) at every input, in double precision."""
    inputs = inputs.detach().requires_grad_()
    losses = functional.cross_entropy(network(inputs), labels, reduction="none")
    (gradients,) = torch.autograd.grad(losses.sum(), inputs)
    return losses.detach().double(), gradients.double()


def sign_agreement(gradient: Tensor, trigger: Tensor) -> float:
    """Share of the entries where the gradient points against the trigger; a zero points nowhere."""
    return float((gradient.sign() * trigger.sign() == -1).double().mean())


def worst_case(trigger: Tensor, eps: float) -> Tensor:
    """The perturbation of size eps that Theorem 2 calls the strongest: -(eps / eps_t) tau (paper, Eq. 14)."""
    return -eps / trigger.abs().max() * trigger


def loss_bound(eps: float, trigger_eps: float, classes: int) -> float:
    """(eps / eps_t) log C in nats, the bound of the mean loss under perturbations of size eps (paper, Eq. 13)."""
    return eps / trigger_eps * math.log(classes)
