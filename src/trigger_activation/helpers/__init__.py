"""Helper networks, which attacks and purifiers consult: trained by a job of their own, or imported from a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, Field

from trigger_activation.parameters import Parameters
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


def _check_file_name(name: str) -> str:
    if "/" in name or name in {"", ".", ".."}:
        raise ValueError(f"{name!r} is no name of a file in results/external: give the name alone")
    return name


class ImportedHelper(HelperNetwork):
    """A helper that others trained: a file that the user puts under results/external."""

    objective = "pretrained"
    origin: ClassVar[str]
    """Where such a file comes from, for messages."""

    file: Annotated[str, AfterValidator(_check_file_name)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
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


HELPERS: Registry[HelperNetwork] = Registry("helper network", __name__)
