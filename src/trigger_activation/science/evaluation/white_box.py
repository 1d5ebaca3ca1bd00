"""White-box robustness: attackers who differentiate the deployed victim f_t(x) = f(x + tau) itself.

Adversarial images stay floats: rounding to bytes would take from the attacker, and published AutoAttack numbers are
without it.
"""

from __future__ import annotations

import torch
from pyautoattack.autoattack import AutoAttack
from torch import Generator, Tensor, nn

from trigger_activation.errors import UserError
from trigger_activation.science.attacks import Attack
from trigger_activation.science.attacks.engine import seed_from
from trigger_activation.science.evaluation.accuracy import predict, predict_each
from trigger_activation.science.freezing import frozen
from trigger_activation.science.images import to_float

CLASSES = 10
"""The targeted attacks of AutoAttack aim at nine classes besides the true one."""
ROUNDING = 1e-6
"""How far float32 images may stand outside a budget that was kept exactly."""


def robustness(
    victim: nn.Module,
    attack: Attack,
    images: Tensor,
    labels: Tensor,
    batch_size: int,
    iterations: int,
    queries: int,
    generator: Generator,
) -> dict[str, Tensor]:
    """Which images (N,) a victim classifies correctly: as they are, and still under white-box attacks.

    An attacker may also leave an image as it is, so one that is misclassified anyway is robust to nothing.

    Args:
        victim: maps [0, 1] images to logits, its trigger included; left in the state it came in.
        attack: PGD, run as ``pgd``, and as ``single_step`` with one step of its eps from the image, which is FGSM; its
            eps is AutoAttack's too.
        images: uint8 (N, H, W, 3).
        labels: (N,).
        batch_size: of attacks and predictions.
        iterations: of APGD and FAB in AutoAttack, 100 in the standard one.
        queries: of Square in AutoAttack, 5,000 in the standard one.
        generator: source of all randomness, on the images' device.

    Raises:
        UserError: the victim has fewer than ten classes or returns NaN, or AutoAttack broke the budget.
    """
    with frozen(victim):
        clean = predict(victim, images, batch_size) == labels
    pgd = _withstands(victim, attack, images, labels, batch_size, generator)
    fgsm = attack.model_copy(update={"steps": 1, "step_size": attack.eps, "random_start": False})
    single_step = _withstands(victim, fgsm, images, labels, batch_size, generator)
    with frozen(victim), seed_from(generator) as seed:
        ensemble = _autoattack(victim, float(attack.eps), iterations, queries, seed, images.device)
        autoattack = _withstands_autoattack(ensemble, images, labels, batch_size)
    withstood = {"pgd": pgd, "single_step": single_step, "autoattack": autoattack}
    return {"clean": clean, **{name: clean & correct for name, correct in withstood.items()}}


def _withstands(
    victim: nn.Module, attack: Attack, images: Tensor, labels: Tensor, batch_size: int, generator: Generator
) -> Tensor:
    batches = zip(torch.split(images, batch_size), torch.split(labels, batch_size), strict=True)
    adversarial = [attack.perturb(victim, to_float(batch), truth, generator) for batch, truth in batches]
    with frozen(victim):
        return predict_each([victim], adversarial)[0] == labels


def _autoattack(
    victim: nn.Module, eps: float, iterations: int, queries: int, seed: int, device: torch.device
) -> AutoAttack:
    """The standard ensemble of Croce and Hein (2020): APGD-CE, APGD-T, FAB-T and Square."""
    ensemble = AutoAttack(_ContiguousGradients(victim), eps=eps, seed=seed, device=device)
    for part in (ensemble.apgd, ensemble.apgd_targeted, ensemble.fab):
        part.n_iter = iterations
    ensemble.square.n_queries = queries
    return ensemble


class _ContiguousGradients(nn.Module):
    """AutoAttack flattens gradients as views, which those of networks with channels last do not allow."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        if images.requires_grad:
            images.register_hook(Tensor.contiguous)  # type: ignore[no-untyped-call]
        logits: Tensor = self.network(images)
        return logits


def _withstands_autoattack(ensemble: AutoAttack, images: Tensor, labels: Tensor, batch_size: int) -> Tensor:
    clean = to_float(images).contiguous()
    classes = ensemble.model(clean[:1]).shape[1]
    if classes < CLASSES:
        raise UserError(
            f"AutoAttack aims at {CLASSES - 1} wrong classes, but the network has {classes} classes: leave white-box "
            "rows out"
        )
    adversarial, predicted = ensemble.run_standard_evaluation(clean, labels, batch_size=batch_size)
    _check_budget(adversarial, clean, ensemble.epsilon)
    withstands: Tensor = predicted == labels
    return withstands


def _check_budget(adversarial: Tensor, clean: Tensor, eps: float) -> None:
    largest = float((adversarial - clean).abs().max())
    if not (largest <= eps + ROUNDING and adversarial.min() >= 0 and adversarial.max() <= 1):
        raise UserError(
            f"AutoAttack changed a pixel by {largest * 255:.4g}/255 where {eps * 255:.4g}/255 are allowed, or left the "
            "pixel range: install the version of pyautoattack that requirements.lock names"
        )
