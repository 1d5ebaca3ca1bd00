"""The diffusion model of guided diffusion, as its authors released it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from trigger_activation.science.helpers import HELPERS, ImportedHelper
from trigger_activation.science.helpers._guided_diffusion import build_unet, from_official
from trigger_activation.science.helpers._official import named_tensors

if TYPE_CHECKING:
    from diffusers import UNet2DModel
    from torch import Tensor, nn


@HELPERS.register("guided_diffusion", version=1)
class GuidedDiffusion(ImportedHelper):
    """The unconditional 256 x 256 model of Dhariwal and Nichol 2021: 552,814,086 parameters.

    It is fully convolutional, so it takes images of 224 px as they are.
    """

    origin = "the model list of openai/guided-diffusion"

    @property
    def side_multiple(self) -> int:
        """Five of its six levels halve the side."""
        return 32

    def build(self, image_size: int) -> nn.Module:  # noqa: ARG002
        """The U-Net of ``diffusers`` with the official architecture."""
        return cast("nn.Module", build_unet())

    def converted(self, content: object, network: nn.Module) -> dict[str, Tensor]:
        """Official names and layouts turned into those of ``diffusers``."""
        return from_official(named_tensors(content), cast("UNet2DModel", network))
