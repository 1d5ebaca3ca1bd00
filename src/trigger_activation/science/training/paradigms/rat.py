"""Randomised adversarial training on TRADES (Jin et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveInt

from trigger_activation.errors import UserError
from trigger_activation.lazy import functional, torch
from trigger_activation.parameters import PixelFraction
from trigger_activation.science.training.paradigms import PARADIGMS, Paradigm

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

START_DEVIATION = 0.001
"""Standard deviation of the noise that crafting starts with, as in TRADES."""


@PARADIGMS.register("rat", version=1)
class RAT(Paradigm):
    """TRADES against a network with noisy weights, and soft targets from a Taylor expansion in the weights.

    The expansion compares, class by class, the gradients that clean and adversarial images send to the last linear
    layer. As in TRADES, clean and adversarial images pass through the network separately; the authors' code repeats
    both passes for each term, which changes nothing but the running statistics.
    """

    eps: PixelFraction
    steps: PositiveInt = 10
    step_size: PixelFraction
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Weight that the Taylor terms take from the cross entropy."""
    beta: Annotated[float, Field(ge=0)] = 6.0
    """Weight of the divergence between predictions on clean and on adversarial images."""
    weight_noise: Annotated[float, Field(ge=0)] = 1e-4
    """Standard deviation of the noise on convolutions while images are crafted."""
    kappa: Annotated[float, Field(ge=0, le=1)] | Literal["1-2/classes"] = "1-2/classes"
    """Probability that a soft target takes from the true class. The authors have 0.8 for 10 classes and 0.98 for 100
    and no others; the default goes through both: the true class keeps twice its share among equals, 2/C."""
    second_order: Literal["official", "symmetric"] = "official"
    """Targets of the second-order term: ``official``, the same matrix for clean and adversarial images, as in the
    authors' code; ``symmetric``, opposite ones, as in its first-order term."""

    @property
    def passes(self) -> float:
        """The noisy copy's predictions on clean images, the steps, and training passes on clean and crafted images."""
        return 1 / 3 + self.steps * 2 / 3 + 2

    def loss(
        self, network: nn.Module, images: Tensor, labels: Tensor, trigger: Tensor | None, generator: Generator
    ) -> Tensor:
        """(1 - alpha) CE + beta KL(p || p') + alpha (first-order term + second-order term / 2).

        Raises:
            UserError: the network does not end in a linear layer.
        """
        del trigger
        adversarial = self.craft(network, images, generator)
        logits = network(images), network(adversarial)
        clean, crafted = (z.log_softmax(dim=1) for z in logits)
        weight = last_linear(network, clean.shape[1]).weight
        targets = self.targets(*(class_gradients(z, labels, weight) for z in logits))

        def taylor_term(of_crafted: Tensor, of_clean: Tensor) -> Tensor:
            return (divergence(of_crafted[labels], crafted) + divergence(of_clean[labels], clean)) / 2

        first, second = (taylor_term(*pair) for pair in targets)
        return (
            (1 - self.alpha) * functional.nll_loss(clean, labels)
            + self.beta * functional.kl_div(crafted, clean, reduction="batchmean", log_target=True)
            + self.alpha * (first + second / 2)
        )

    def craft(self, network: nn.Module, images: Tensor, generator: Generator) -> Tensor:
        """Images within the budget and [0, 1] that change the predictions of a noisy copy of the network.

        Crafting is in evaluation mode with frozen parameters; the network's own parameters and buffers stay untouched.
        """
        from trigger_activation.science.freezing import frozen

        eps, step_size = float(self.eps), float(self.step_size)
        lower, upper = (images - eps).clamp_(min=0), (images + eps).clamp_(max=1)
        with noisy_convolutions(network, self.weight_noise, generator), frozen(network):
            with torch.no_grad():
                target = network(images).log_softmax(dim=1)
            start = torch.randn(images.shape, generator=generator, device=images.device)
            adversarial = images + START_DEVIATION * start
            for _ in range(self.steps):
                variable = adversarial.requires_grad_()
                predicted = network(variable).log_softmax(dim=1)
                ascended = functional.kl_div(predicted, target, reduction="sum", log_target=True)
                (gradient,) = torch.autograd.grad(ascended, variable)
                adversarial = gradient.sign_().mul_(step_size).add_(variable.detach()).clamp_(lower, upper)
        return adversarial

    def targets(self, clean: Tensor, crafted: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Matrices of soft targets, for adversarial and for clean images, of first and of second order.

        Args:
            clean: summed gradients (C,) of clean images, see :func:`class_gradients`.
            crafted: those of adversarial images.
        """
        first = clean.abs() - crafted.abs()
        second = clean.square() - crafted.square()
        kappa = 1 - 2 / len(clean) if self.kappa == "1-2/classes" else self.kappa
        opposite = target_matrix(-second, kappa)
        straight = opposite if self.second_order == "official" else target_matrix(second, kappa)
        return (target_matrix(first, kappa), target_matrix(-first, kappa)), (straight, opposite)


@contextmanager
def noisy_convolutions(network: nn.Module, deviation: float, generator: Generator) -> Iterator[None]:
    """Put frozen copies with noise N(0, deviation^2) in the place of all parameters of convolutions, for a while."""
    own = [
        (module, name, parameter)
        for module in network.modules()
        if isinstance(module, torch.nn.Conv2d)
        for name, parameter in module.named_parameters(recurse=False)
    ]
    try:
        for module, name, parameter in own:
            noise = torch.randn(parameter.shape, generator=generator, device=parameter.device)
            noisy = torch.add(parameter.detach(), noise, alpha=deviation)
            setattr(module, name, torch.nn.Parameter(noisy, requires_grad=False))
        yield
    finally:
        for module, name, parameter in own:
            setattr(module, name, parameter)


def last_linear(network: nn.Module, classes: int) -> nn.Linear:
    """The linear layer that gives the logits.

    Raises:
        UserError: the network has none.
    """
    linear = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    if not linear or linear[-1].out_features != classes:
        raise UserError(
            f"RAT looks at the gradients of a linear layer with {classes} outputs at a network's end, but this "
            f"{type(network).__name__} has none: choose another network or paradigm"
        )
    return linear[-1]


def class_gradients(logits: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Gradient of the mean cross entropy with respect to the last layer's weight (C, D), summed over D: (C,)."""
    loss = functional.cross_entropy(logits, labels)
    return torch.autograd.grad(loss, weight, retain_graph=True)[0].sum(dim=1)


def target_matrix(vector: Tensor, kappa: float) -> Tensor:
    """Soft targets (C, C), a row per true class: 1 - kappa for itself, kappa shared in proportion to the other entries.

    The smallest entry (of (C,)) counts as zero. Where nothing else is left to share by, all others get the same.
    """
    itself = torch.eye(len(vector), device=vector.device)
    others = 1 - itself
    entries = (vector - vector.min()) * others
    totals = entries.sum(dim=1, keepdim=True)
    shares = torch.where(totals > 0, entries / totals, others / others.sum(dim=1, keepdim=True))
    return kappa * shares + (1 - kappa) * itself


def divergence(target: Tensor, log_probability: Tensor) -> Tensor:
    """KL(target || p), both (B, C), averaged over the batch."""
    return functional.kl_div(log_probability, target, reduction="batchmean")
