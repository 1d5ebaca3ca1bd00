"""Residual networks (He et al. 2016): torchvision's ResNet, also narrower."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveInt, field_validator

from trigger_activation.lazy import torch, torchvision
from trigger_activation.science.networks import NETWORKS, NetworkFamily
from trigger_activation.science.networks._small import is_small, small_stem

if TYPE_CHECKING:
    from torch import nn
    from torchvision.models.resnet import BasicBlock, Bottleneck
    from torchvision.models.resnet import ResNet as TorchvisionResNet

CONSTRUCTOR_WIDTH = 64


@NETWORKS.register("resnet", version=1)
class ResNet(NetworkFamily):
    """torchvision's ``ResNet``, with the stride of a bottleneck on its 3 x 3 convolution.

    For small images the stem is one 3 x 3 convolution of stride 1 without pooling, as He et al. 2016 have it
    for CIFAR-10; the four stages then work at 1, 1/2, 1/4 and 1/8 of the image's side.
    """

    block: Literal["basic", "bottleneck"]
    """Two 3 x 3 convolutions, or 1 x 1, 3 x 3, 1 x 1 with four times as many output channels."""
    layers: Annotated[tuple[PositiveInt, ...], Field(strict=False)]
    """Blocks in each of the four stages."""
    width: PositiveInt = CONSTRUCTOR_WIDTH
    """Channels of the stem and of the first stage's 3 x 3 convolutions; each stage doubles them."""

    @field_validator("layers")
    @classmethod
    def _four_stages(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if len(layers) != 4:
            raise ValueError(f"a ResNet has four stages, but layers {list(layers)} lists {len(layers)}")
        return layers

    def build(self, image_size: int, classes: int) -> nn.Module:
        """A ResNet for images of (about) the given side; the average pool accepts larger ones too."""
        network = self._narrow(classes) if self.width != CONSTRUCTOR_WIDTH else self._construct(classes)
        if is_small(image_size):
            network.conv1 = small_stem(self.width, "fan_out")
            network.maxpool = torch.nn.Identity()  # type: ignore[assignment]
        return network

    def feature_layer(self, stage: Literal[1, 2]) -> str:
        """A stage; the second gives (B, C, H/2, W/2) for small images, (B, C, H/8, W/8) for larger ones."""
        return f"layer{stage}"

    def _construct(self, classes: int) -> TorchvisionResNet:
        return torchvision.models.ResNet(self._block, list(self.layers), num_classes=classes)

    def _narrow(self, classes: int) -> TorchvisionResNet:
        # The constructor knows no width. All modules with weights are replaced, so it need not allocate them.
        with torch.device("meta"):
            network = self._construct(classes)
        network.inplanes = self.width
        network.conv1 = torch.nn.Conv2d(3, self.width, kernel_size=7, stride=2, padding=3, bias=False)
        network.bn1 = torch.nn.BatchNorm2d(self.width)
        for stage, blocks in enumerate(self.layers):
            made = network._make_layer(self._block, self.width << stage, blocks, stride=2 if stage else 1)
            setattr(network, f"layer{stage + 1}", made)
        network.fc = torch.nn.Linear(network.inplanes, classes)
        _initialise(network)
        return network

    @property
    def _block(self) -> type[BasicBlock | Bottleneck]:
        models = torchvision.models.resnet
        return models.BasicBlock if self.block == "basic" else models.Bottleneck


def _initialise(network: nn.Module) -> None:
    # As the constructor does; its batch normalisation starts from torch's own defaults.
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
