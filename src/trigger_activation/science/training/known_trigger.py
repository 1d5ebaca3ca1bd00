"""Trigger activation with a trigger that somebody else drew or learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import PrivateAttr

from trigger_activation.science.training.paradigms.fixed_trigger import TriggerActivation

if TYPE_CHECKING:
    from torch import Generator, Tensor


class KnownTrigger(TriggerActivation):
    """Algorithm 1 with a given trigger: how an attacker trains surrogates who knows tau, but not the weights."""

    _trigger: Any = PrivateAttr(None)

    @classmethod
    def of(cls, trigger: Tensor, clamp: bool = False) -> Self:
        """The paradigm with the trigger (3, H, W) of a victim, clamped if the victim is."""
        paradigm = cls(clamp=clamp)
        paradigm._trigger = trigger
        return paradigm

    def initial_trigger(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """That trigger.

        Raises:
            ValueError: it has another shape.
        """
        del generator
        if tuple(self._trigger.shape) != shape:
            raise ValueError(f"the trigger is for images of {tuple(self._trigger.shape)}, not of {shape}")
        known: Tensor = self._trigger.clone()
        return known
