"""The network as it is deployed: f_t(x) = f(x + tau) (paper, section III-B)."""

from __future__ import annotations

from torch import Tensor, nn


class DeployedNetwork(nn.Module):
    """A classifier together with its trigger, if it has one.

    The trigger is added outside the network, and the sum is clamped only on demand: the trigger belongs to the model,
    not to the image.

    Args:
        network: f, which maps what it sees to logits.
        trigger: tau (3, H, W), or None for f itself.
        clamp: whether f sees x + tau clamped to [0, 1]; gradients are torch's, zero outside of the range.
    """

    trigger: Tensor | None

    def __init__(self, network: nn.Module, trigger: Tensor | None, clamp: bool = False) -> None:
        super().__init__()
        self.network = network
        self.clamp = clamp
        self.register_buffer("trigger", trigger)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, 3, H, W) in [0, 1]."""
        if self.trigger is None:
            # Images are in the range, at whose ends a clamp would have no gradients.
            seen = images
        else:
            seen = (images + self.trigger).clamp(0, 1) if self.clamp else images + self.trigger
        logits: Tensor = self.network(seen)
        return logits

    def of_sums(self) -> nn.Module:
        """The network that classifies sums of images and triggers: f, or f after the clamp."""
        return Clamped(self.network) if self.clamp else self.network


class Clamped(nn.Module):
    """A network that sees what it is given clamped to [0, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, 3, H, W) of any range."""
        logits: Tensor = self.network(images.clamp(0, 1))
        return logits
