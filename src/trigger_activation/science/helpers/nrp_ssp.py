"""A purifier like NRP for experiments that do not have the official one."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from trigger_activation.errors import UserError
from trigger_activation.lazy import functional, torch, torchvision
from trigger_activation.parameters import PixelFraction
from trigger_activation.science.helpers import HELPERS, TrainedHelper
from trigger_activation.science.helpers._fitting import minimise
from trigger_activation.science.helpers._ssp import self_supervised_perturbation
from trigger_activation.science.snapshots import NO_SNAPSHOTS, Snapshots

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@HELPERS.register("nrp_ssp", version=1)
class SelfSupervisedNRP(TrainedHelper):
    """NRP's light generator, trained to undo self-supervised perturbations (SSP) of the experiment's own images.

    Naseer et al. 2020 take the features of an ImageNet VGG-16 and a critic besides; here the features are an
    undefended VGG's of the experiment, and there is no critic.
    """

    objective = "purification"

    channels: PositiveInt
    blocks: PositiveInt
    features_of: str
    """The VGG of config after whose third block images are compared."""
    ssp_eps: PixelFraction = Fraction(16, 255)
    ssp_step_size: PixelFraction = Fraction("0.01")
    ssp_iterations: PositiveInt = 100
    pixel_weight: NonNegativeFloat = 1e-2
    """Of the mean squared error of pixels."""
    feature_weight: NonNegativeFloat = 1.0
    """Of the mean squared error of features."""
    epochs: PositiveInt
    batch_size: PositiveInt = 16
    learning_rate: PositiveFloat = 1e-4

    @property
    def teacher(self) -> str:
        """The VGG."""
        return self.features_of

    def build(self, image_size: int) -> nn.Module:  # noqa: ARG002
        """The light generator, of as many channels and blocks as asked for."""
        from trigger_activation.science.helpers._nrp import light_generator

        return light_generator(self.channels, self.blocks)

    def fit(
        self,
        network: nn.Module,
        images: Tensor,
        generator: Generator,
        report: Callable[[int, float], None],
        teacher: nn.Module | None = None,
        snapshots: Snapshots = NO_SNAPSHOTS,
    ) -> None:
        """Adam on the distances of purified from clean images, in pixels and in features."""
        from trigger_activation.science.freezing import frozen

        assert teacher is not None  # Since the property names one.
        with frozen(third_block(cast("nn.Module", teacher.network))) as features:
            minimise(
                network,
                lambda batch: self.loss(network, features, batch, generator),
                images,
                generator,
                report,
                epochs=self.epochs,
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
                snapshots=snapshots,
            )

    def loss(
        self, network: nn.Module, features: Callable[[Tensor], Tensor], images: Tensor, generator: Generator
    ) -> Tensor:
        """How far purified images are from clean ones, after new perturbations.

        Args:
            network: the purifier.
            features: of images (B, 3, H, W).
            images: uint8 (B, H, W, 3).
            generator: draws the starts of the perturbations.
        """
        from trigger_activation.science.images import to_float

        clean = to_float(images)
        perturbed = self_supervised_perturbation(
            features, clean, generator, float(self.ssp_eps), float(self.ssp_step_size), self.ssp_iterations
        )
        purified = network(perturbed)
        with torch.no_grad():
            target = features(clean)
        pixels, distance = functional.mse_loss(purified, clean), functional.mse_loss(features(purified), target)
        return self.pixel_weight * pixels + self.feature_weight * distance


def third_block(network: nn.Module) -> nn.Sequential:
    """The layers of a VGG up to the last ReLU of its third block: relu3_4 in VGG-19.

    Raises:
        UserError: the network is no VGG.
    """
    if not isinstance(network, torchvision.models.VGG):
        raise UserError(
            f"nrp_ssp looks at a VGG's features, not a {type(network).__name__}'s: let features_of name one"
        )
    layers = cast("nn.Sequential", network.features)
    pools = [index for index, layer in enumerate(layers) if isinstance(layer, torch.nn.MaxPool2d)]
    return layers[: pools[2]]
