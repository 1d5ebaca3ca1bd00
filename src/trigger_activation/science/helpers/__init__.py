"""Helper networks, which attacks and purifiers consult: trained by a job of their own, or imported from a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import PrivateAttr

from trigger_activation.parameters import ExternalFile, Parameters, Sha256
from trigger_activation.registry import Registry
from trigger_activation.science.snapshots import NO_SNAPSHOTS, Snapshots

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class HelperNetwork(Parameters):
    """A network that is neither surrogate nor victim."""

    objective: ClassVar[str]
    """How it came to be, a part of its file's name."""

    @property
    def side_multiple(self) -> int:
        """What the side of its images in pixels must be a multiple of."""
        return 1

    @abstractmethod
    def build(self, image_size: int) -> nn.Module:
        """A fresh network for images of the given side in pixels."""


class TrainedHelper(HelperNetwork):
    """A helper trained on the protocol's own images."""

    @property
    def teacher(self) -> str | None:
        """The network of config whose undefended checkpoint the training looks at, if it does."""
        return None

    @abstractmethod
    def fit(
        self,
        network: nn.Module,
        images: Tensor,
        generator: Generator,
        report: Callable[[int, float], None],
        teacher: nn.Module | None = None,
        snapshots: Snapshots = NO_SNAPSHOTS,
    ) -> None:
        """Train a fresh network in place.

        Args:
            network: from :meth:`build`, on the device of the images.
            images: uint8 (N, H, W, 3).
            generator: source of all randomness, on the images' device.
            report: told the epoch, counted from 1, and its mean loss, those of an interrupted training included.
            teacher: the undefended network that :attr:`teacher` names, in evaluation mode.
            snapshots: the state of an interrupted training, to go on from, and of this one after each epoch.

        Raises:
            UserError: the loss is not finite, or the interrupted training was another one.
        """


class ImportedHelper(HelperNetwork):
    """A helper that others trained: a file that the user puts under results/external."""

    objective = "pretrained"
    origin: ClassVar[str]
    """Where such a file comes from, for messages."""

    file: ExternalFile
    sha256: Sha256 | None
    """Of the file; None until somebody has compared it with its origin."""

    @abstractmethod
    def converted(self, content: object, network: nn.Module) -> dict[str, Tensor]:
        """The tensors that ``network`` needs, under its names and in its layout.

        Args:
            content: what the file holds: tensors, numbers and text in mappings and lists.
            network: from :meth:`build`.

        Raises:
            ValueError: the file is another network's.
        """


class ConsultsHelper(Parameters):
    """An attack or a purifier that may need a helper network."""

    helper_role: ClassVar[str | None] = None
    """The role of the helper network that it consults, if it does."""
    _helper: Any = PrivateAttr(None)

    @property
    def helper_calls(self) -> int:
        """How often it asks the helper network about each image."""
        return 0

    def with_helper(self, helper: nn.Module) -> Self:
        """The same with the helper network that it consults."""
        equipped = self.model_copy()
        equipped._helper = helper
        return equipped

    @property
    def helper(self) -> nn.Module:
        """The helper network.

        Raises:
            ValueError: there is none yet.
        """
        if self._helper is None:
            raise ValueError(f"{self.registered_name} needs a helper network: give it one by with_helper")
        helper: nn.Module = self._helper
        return helper


HELPERS: Registry[HelperNetwork] = Registry("helper network", __name__)
