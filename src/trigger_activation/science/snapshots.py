"""What changes in a training from epoch to epoch, so that an interrupted one goes on to the same result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from trigger_activation.errors import UserError
from trigger_activation.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Snapshots(Protocol):
    """Where long work leaves its state from time to time, and finds it after an interruption."""

    def load(self) -> dict[str, Any] | None:
        """The last state that was left, its tensors on the CPU; None at the start."""

    def save(self, state: dict[str, Any], place: str) -> None:
        """Leave a state, or let it pass if the last one is recent.

        Args:
            state: tensors, numbers and text, in lists and mappings; they are free to change afterwards.
            place: how far the work is, for messages: ``epoch 7 of 60``.
        """


class NoSnapshots:
    """Nothing was left, and nothing will be."""

    def load(self) -> None:
        """None."""

    def save(self, state: dict[str, Any], place: str) -> None:
        """Let it pass."""


NO_SNAPSHOTS = NoSnapshots()


class Stateful(Protocol):
    """A network, optimiser or schedule."""

    def state_dict(self) -> dict[str, Any]:
        """All that changes in it."""

    def load_state_dict(self, state: dict[str, Any], /) -> object:
        """Put that back."""


@dataclass
class TrainingState:
    """All that changes in a training from epoch to epoch."""

    parts: Mapping[str, Stateful]
    generators: Mapping[str, Generator]
    trigger: Tensor | None = None
    carried: dict[str, Tensor] = field(default_factory=dict)
    """What the paradigm carries from batch to batch."""
    losses: list[float] = field(default_factory=list)
    """Mean loss of each finished epoch."""

    def save(self, snapshots: Snapshots, epochs: int) -> None:
        """Leave the state between two of ``epochs`` epochs."""
        state = {
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "generators": {name: generator.get_state() for name, generator in self.generators.items()},
            "trigger": self.trigger,
            "carried": self.carried,
            "losses": self.losses,
        }
        snapshots.save(state, f"epoch {len(self.losses)} of {epochs}")

    def restore(self, snapshots: Snapshots, device: torch.device) -> None:
        """Take over the last state that was left, if there is one, on the device of the data.

        Raises:
            UserError: it is of another training.
        """
        state = snapshots.load()
        if state is None:
            return
        try:
            for name, part in self.parts.items():
                part.load_state_dict(state["parts"][name])
            for name, generator in self.generators.items():
                generator.set_state(state["generators"][name])
        except (KeyError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"what an interrupted training left does not fit this one ({reason}): remove results/scratch and "
                "run again"
            ) from None
        self.trigger = None if state["trigger"] is None else state["trigger"].to(device)
        self.carried = {name: tensor.to(device) for name, tensor in state["carried"].items()}
        self.losses = state["losses"]


def default_generator(device: torch.device) -> Generator:
    """What layers such as dropout draw from, which take no generator."""
    return torch.cuda.default_generators[device.index] if device.type == "cuda" else torch.default_generator
