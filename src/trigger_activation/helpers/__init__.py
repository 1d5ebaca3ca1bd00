"""Helper networks, which attacks and purifiers consult: trained by a job of their own, or imported from a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from trigger_activation.parameters import ExternalFile, Parameters, Sha256
from trigger_activation.registry import Registry

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class HelperNetwork(Parameters):
    """A network that is neither surrogate nor victim."""

    objective: ClassVar[str]
    """How it came to be, a part of its file's name."""

    @abstractmethod
    def build(self, image_size: int) -> nn.Module:
        """A fresh network for images of the given side in pixels."""


class TrainedHelper(HelperNetwork):
    """A helper trained on the protocol's own images."""

    @abstractmethod
    def fit(
        self, network: nn.Module, images: Tensor, generator: Generator, report: Callable[[int, float], None]
    ) -> None:
        """Train a fresh network in place.

        Args:
            network: from :meth:`build`, on the device of the images.
            images: uint8 (N, H, W, 3).
            generator: source of all randomness, on the images' device.
            report: told the epoch, counted from 1, and its mean loss.

        Raises:
            UserError: the loss is not finite.
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
    def converted(self, state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
        """The file's tensors under the names and in the layout of ``network``.

        Raises:
            ValueError: they are another network's.
        """


HELPERS: Registry[HelperNetwork] = Registry("helper network", __name__)
