"""A small denoising diffusion model for experiments that have no large one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from trigger_activation.lazy import diffusers, functional, torch
from trigger_activation.science.helpers import HELPERS, TrainedHelper
from trigger_activation.science.helpers._fitting import minimise
from trigger_activation.science.helpers.diffusion import SCHEDULE, STEPS, predicted_noise
from trigger_activation.science.snapshots import NO_SNAPSHOTS, Snapshots

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

GROUPS = 8
"""Channels of each level are a multiple of it, since group normalisation splits them so."""


@HELPERS.register("ddpm", version=1)
class DDPM(TrainedHelper):
    """DDPM (Ho et al. 2020): a U-Net trained to predict the noise in images at random steps."""

    objective = "denoising"

    channels: Annotated[tuple[Annotated[int, Field(gt=0, multiple_of=GROUPS)], ...], Field(strict=False, min_length=1)]
    """Of each level; the side halves from one to the next."""
    blocks: PositiveInt = 1
    """Residual blocks of a level."""
    epochs: PositiveInt
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat = 1e-3
    average: Annotated[float, Field(ge=0, lt=1)] = 0.995
    """Decay of the moving average of the weights, which is what is kept."""

    @property
    def side_multiple(self) -> int:
        """Each level but the last halves the side."""
        return 1 << (len(self.channels) - 1)

    def build(self, image_size: int) -> nn.Module:
        """A U-Net of ``diffusers`` without attention."""
        levels = len(self.channels)
        network: nn.Module = diffusers.UNet2DModel(
            sample_size=image_size,
            block_out_channels=self.channels,
            layers_per_block=self.blocks,
            down_block_types=("DownBlock2D",) * levels,
            up_block_types=("UpBlock2D",) * levels,
            add_attention=False,
            norm_num_groups=GROUPS,
        )
        return network

    def fit(
        self,
        network: nn.Module,
        images: Tensor,
        generator: Generator,
        report: Callable[[int, float], None],
        teacher: nn.Module | None = None,  # noqa: ARG002
        snapshots: Snapshots = NO_SNAPSHOTS,
    ) -> None:
        """Adam on the mean squared error of the noise; the network gets the averaged weights."""
        averaging = torch.optim.swa_utils.get_ema_multi_avg_fn(self.average)  # type: ignore[no-untyped-call]
        averaged = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=averaging)
        minimise(
            network,
            lambda batch: denoising_loss(network, batch, generator),
            images,
            generator,
            report,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            snapshots=snapshots,
            averaged=averaged,
        )
        network.load_state_dict(averaged.module.state_dict())


def denoising_loss(network: nn.Module, images: Tensor, generator: Generator) -> Tensor:
    """Mean squared error of the predicted noise at steps drawn for each image.

    Args:
        network: predicts noise.
        images: uint8 (B, H, W, 3).
        generator: draws steps and noise.
    """
    from trigger_activation.science.images import to_float

    scheduler = diffusers.DDPMScheduler(**SCHEDULE)
    clean = 2 * to_float(images) - 1
    steps = torch.randint(STEPS, (len(images),), generator=generator, device=images.device)
    noise = torch.empty_like(clean).normal_(generator=generator)
    noisy = scheduler.add_noise(clean, noise, steps)
    return functional.mse_loss(predicted_noise(network, noisy, steps), noise)
