"""The network as it is deployed: f_t(x) = f(x + tau) (paper, section III-B)."""

from __future__ import annotations

from torch import Tensor, nn


class DeployedNetwork(nn.Module):
    """A classifier together with its trigger, if it has one.

    The trigger is added outside the network and is not clipped: it belongs to the model, not to the image.
    """

    trigger: Tensor | None

    def __init__(self, network: nn.Module, trigger: Tensor | None) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("trigger", trigger)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, 3, H, W) in [0, 1]."""
        logits: Tensor = self.network(images if self.trigger is None else images + self.trigger)
        return logits
