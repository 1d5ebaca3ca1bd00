"""Trigger activation with a learnable trigger (paper, Algorithm 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from trigger_activation.lazy import functional, torch
from trigger_activation.parameters import PixelFraction
from trigger_activation.science.training.paradigms import PARADIGMS
from trigger_activation.science.training.paradigms._corners import random_corners
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
    trigger_pass: Literal["eval", "train"] = "eval"
    """Mode of the network in the pass that gives the trigger's gradient. In ``train`` batch normalisation takes the
    statistics of each batch; running statistics stay as they were."""
    direction: Literal["gradient", "random"] = "gradient"
    """``random`` is a control: as many steps of the same size with random signs, so that nothing is learned."""

    @property
    def passes(self) -> float:
        """As with a fixed trigger, and back to the images in the epochs after which gradients move the trigger."""
        return 2 + (self.moving_share * 2 / 3 if self.direction == "gradient" else 0)

    def initial_trigger(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Entries from U(-alpha, alpha)."""
        uniform = torch.rand(shape, generator=generator, device=generator.device)
        return (2 * uniform - 1) * float(self.alpha)

    def updates_trigger(self, epoch: int, epochs: int) -> bool:
        """True in the first ``moving_share`` of the epochs, counted from 1."""
        return epoch <= self.moving_share * epochs + 1e-9

    def updated_trigger(self, network: nn.Module, trigger: Tensor, batches: Batches, generator: Generator) -> Tensor:
        """One signed step against the sum of the batches' gradients of CE(f(x + tau), y), or with random signs.

        The network's parameters are frozen: the pass computes no parameter gradients and moves no running statistics.
        """
        if self.direction == "random":
            return trigger + random_corners(trigger.shape, float(self.alpha), generator)
        return trigger - float(self.alpha) * self._summed_gradient(network, trigger, batches).sign()

    def _summed_gradient(self, network: nn.Module, trigger: Tensor, batches: Batches) -> Tensor:
        """(3, H, W)."""
        from trigger_activation.science.freezing import frozen, frozen_in_training

        total = torch.zeros_like(trigger)
        variable = trigger.detach().requires_grad_()
        with frozen(network) if self.trigger_pass == "eval" else frozen_in_training(network):
            for images, labels in batches():
                loss = functional.cross_entropy(network(self.triggered(images, variable)), labels)
                total += torch.autograd.grad(loss, variable)[0]
        return total
