"""A network whose passes compute in bfloat16, and everything around them in float32."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class InBfloat16(nn.Module):
    """The network under autocast: it keeps its float32 parameters, which get float32 gradients, and so do images.

    Args:
        network: with parameters in float32.
        device_type: of the network, ``cuda`` or ``cpu``.
    """

    def __init__(self, network: nn.Module, device_type: str) -> None:
        super().__init__()
        self.network = network
        self.device_type = device_type

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) in float32, in which losses are taken."""
        # Around this pass alone: backward passes follow the types of the forward one, losses need more digits.
        with torch.autocast(self.device_type, torch.bfloat16):
            logits: Tensor = self.network(images)
        return logits.float()
