"""The purifiers of NRP, as their authors released them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from trigger_activation.science.helpers import HELPERS, ImportedHelper
from trigger_activation.science.helpers._official import named_tensors, refuse_misfits

if TYPE_CHECKING:
    from torch import Tensor, nn


@HELPERS.register("nrp", version=1)
class PretrainedNRP(ImportedHelper):
    """A generator of Naseer et al. 2020, trained on MS-COCO; it is fully convolutional and takes images of any size."""

    origin = "the pretrained purifiers of Muzammal-Naseer/NRP"

    generator: Literal["full", "light"] = "full"
    """``full``: 16,550,275 parameters, the official ``NRP``; ``light``: 1,702,211, the official ``NRP_resG``."""

    def build(self, image_size: int) -> nn.Module:  # noqa: ARG002
        """The generator with the official architecture and names."""
        from trigger_activation.science.helpers._nrp import full_generator, light_generator

        return full_generator() if self.generator == "full" else light_generator()

    def converted(self, content: object, network: nn.Module) -> dict[str, Tensor]:
        """The tensors as they are, once their names and shapes have been checked."""
        state = named_tensors(content)
        refuse_misfits(state, {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})
        return state
