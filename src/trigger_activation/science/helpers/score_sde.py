"""The score network of the VP-SDE, as its authors released it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from trigger_activation.science.helpers import HELPERS, ImportedHelper
from trigger_activation.science.helpers._score_sde import averaged_weights, build_unet, from_official

if TYPE_CHECKING:
    from diffusers import UNet2DModel
    from torch import Tensor, nn


@HELPERS.register("score_sde", version=1)
class ScoreSDE(ImportedHelper):
    """DDPM++ (deep) of Song et al. 2021, trained on CIFAR-10 at all times of the VP-SDE: 106,632,579 parameters."""

    origin = "vp/cifar10_ddpmpp_deep_continuous in the list of checkpoints of yang-song/score_sde_pytorch"

    @property
    def side_multiple(self) -> int:
        """Three of its four levels halve the side."""
        return 8

    def build(self, image_size: int) -> nn.Module:  # noqa: ARG002
        """The U-Net of ``diffusers`` with the official architecture, which takes continuous time."""
        return cast("nn.Module", build_unet())

    def converted(self, content: object, network: nn.Module) -> dict[str, Tensor]:
        """The averaged weights, under the names and in the layout of ``diffusers``."""
        return from_official(averaged_weights(content), cast("UNet2DModel", network))
