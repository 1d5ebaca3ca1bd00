"""Training paradigms: what a batch's loss is, and whether the network has a trigger."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, NonNegativeInt, PrivateAttr

from trigger_activation.parameters import Parameters
from trigger_activation.registry import Registry

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from trigger_activation.science.deployment import DeployedNetwork

    Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]
    BatchLoss = Callable[[nn.Module, Tensor, Tensor, Tensor | None, Generator], Tensor]


class Paradigm(Parameters):
    """An objective for the training loop."""

    @property
    def passes(self) -> float:
        """Cost in training passes, one forward and one backward pass to the parameters; a pass that goes forward, or
        back to images or parameters, counts as a third of it."""
        return 1.0

    def initial_trigger(self, shape: tuple[int, ...], generator: Generator) -> Tensor | None:  # noqa: ARG002
        """The trigger tau of shape (3, H, W) before training, or none."""
        return None

    @abstractmethod
    def loss(
        self, network: nn.Module, images: Tensor, labels: Tensor, trigger: Tensor | None, generator: Generator
    ) -> Tensor:
        """The scalar loss of one batch; ``network`` is in training mode and ``images`` are in [0, 1]."""

    def losses(self, epochs: int, carried: dict[str, Tensor]) -> Iterable[BatchLoss]:  # noqa: ARG002
        """The loss of each epoch of one training in turn, called as :meth:`loss` is; here that itself.

        Trainings share the paradigm, and one that was interrupted goes on with a later epoch.

        Args:
            epochs: of the training.
            carried: where losses keep what they carry from batch to batch; empty at the start of the training.
        """
        return repeat(self.loss, epochs)

    def updates_trigger(self, epoch: int, epochs: int) -> bool:  # noqa: ARG002
        """Whether the trigger moves after this epoch, counted from 1."""
        return False

    def updated_trigger(
        self,
        network: nn.Module,  # noqa: ARG002
        trigger: Tensor,
        batches: Batches,  # noqa: ARG002
        generator: Generator,  # noqa: ARG002
    ) -> Tensor:
        """The trigger after one more pass over the data; ``generator`` is the one that drew it."""
        return trigger

    def deployed(self, network: nn.Module, trigger: Tensor | None) -> DeployedNetwork:
        """The trained network as it classifies images, here f(x + tau)."""
        from trigger_activation.science.deployment import DeployedNetwork

        return DeployedNetwork(network, trigger)

    @property
    def shares_trigger(self) -> bool:
        """Whether the trainings of all networks of a protocol, with one seed, draw their triggers alike."""
        return False


class SurrogateParadigm(Paradigm):
    """A paradigm that also looks at undefended networks, which are there before the training and do not change."""

    surrogate_seeds: Annotated[list[NonNegativeInt], Field(min_length=1)]
    """Of these networks, one of each of the protocol's architectures. None is a seed that the evaluation knows, or
    victims would have been trained on what they are attacked with."""
    _surrogates: Any = PrivateAttr(())

    @property
    def surrogates(self) -> Sequence[nn.Module]:
        """The networks; none before they are given."""
        networks: Sequence[nn.Module] = self._surrogates
        return networks

    def with_surrogates(self, surrogates: Sequence[nn.Module]) -> Self:
        """The same with the networks that it looks at."""
        equipped = self.model_copy()
        equipped._surrogates = tuple(surrogates)
        return equipped


PARADIGMS: Registry[Paradigm] = Registry("paradigm", __name__)
