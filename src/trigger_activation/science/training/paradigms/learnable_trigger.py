"""Trigger activation with a learnable trigger (paper, Algorithm 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trigger_activation.lazy import functional, torch
from trigger_activation.parameters import PixelFraction
from trigger_activation.science.training.paradigms import PARADIGMS
from trigger_activation.science.training.paradigms.fixed_trigger import TriggerActivation

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from trigger_activation.science.training.paradigms import Batches


@PARADIGMS.register("trigger_learnable", version=1)
class LearnableTrigger(TriggerActivation):
    """A trigger that descends the loss by one signed step after each of the first 60 % of epochs, without a bound."""

    alpha: PixelFraction
    """Step of the trigger, and the bound of its uniform start."""
    moving_share: Annotated[float, Field(gt=0, le=1)] = 0.6
    """Share of the epochs after which the trigger moves; then it is frozen."""

    @property
    def passes(self) -> float:
        """As with a fixed trigger, and back to the images in the epochs after which the trigger moves."""
        return 2 + self.moving_share * 2 / 3

    def initial_trigger(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Entries from U(-alpha, alpha)."""
        uniform = torch.rand(shape, generator=generator, device=generator.device)
        return (2 * uniform - 1) * float(self.alpha)

    def updates_trigger(self, epoch: int, epochs: int) -> bool:
        """True in the first ``moving_share`` of the epochs, counted from 1."""
        return epoch <= self.moving_share * epochs + 1e-9

    def updated_trigger(self, network: nn.Module, trigger: Tensor, batches: Batches) -> Tensor:
        """One signed step against the sum of the batches' gradients of CE(f(x + tau), y).

        The network is in evaluation mode, as deployed, and its parameters are frozen: the pass computes no parameter
        gradients and moves no running statistics.
        """
        from trigger_activation.science.freezing import frozen

        total = torch.zeros_like(trigger)
        variable = trigger.detach().requires_grad_()
        with frozen(network):
            for images, labels in batches():
                loss = functional.cross_entropy(network(images + variable), labels)
                total += torch.autograd.grad(loss, variable)[0]
        return trigger - float(self.alpha) * total.sign()
