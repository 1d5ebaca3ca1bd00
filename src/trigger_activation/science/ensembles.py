"""Several networks as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trigger_activation.errors import UserError


class Ensemble(nn.Module):
    """Networks whose logits are averaged, a surrogate for every attack on logits (Dong et al. 2018, section 3.4).

    Of several deployed networks, each with its own trigger, it is the surrogate of an adaptive attacker who has seen no
    trigger of the victim's.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        if len(members) < 2:
            raise UserError(
                f"an ensemble needs two surrogates or more, but has {len(members)}: add a network, a paradigm or a seed"
            )
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, 3, H, W) in [0, 1]."""
        return torch.stack([member(images) for member in self.members]).mean(dim=0)
