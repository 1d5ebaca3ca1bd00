"""A network behind a preprocessing, as attackers see it who know both."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor, nn

from trigger_activation.errors import UserError
from trigger_activation.science.attacks.engine import input_gradient
from trigger_activation.science.preprocessing import Preprocessing

Backward = Literal["through", "identity"]


class DefendedNetwork(nn.Module):
    """Classifies what a preprocessing makes of images, with randomness drawn anew in every pass.

    Args:
        preprocessing: with its helper network, if it consults one, whose parameters need no gradients.
        network: maps [0, 1] images to logits.
        generator: on the CPU; the source of the preprocessing's seeds.
        backward: ``through`` differentiates the preprocessing itself, which R&P, NRP and DiffPure allow; ``identity``
            is BPDA (Athalye et al. 2018): the gradient of the network at the preprocessed image, for those of the same
            size.
    """

    def __init__(
        self, preprocessing: Preprocessing, network: nn.Module, generator: Generator, backward: Backward = "through"
    ) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.network = network
        self.generator = generator
        self.backward = backward

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, 3, H, W) in [0, 1]."""
        seeds = torch.randint(2**62, (len(images),), generator=self.generator).tolist()
        if self.backward == "through":
            prepared = self.preprocessing.apply(images, seeds)
        else:
            with torch.no_grad():
                prepared = self.preprocessing.apply(images, seeds)
            self._check_size(prepared, images)
            prepared = images + (prepared - images).detach()
        logits: Tensor = self.network(prepared)
        return logits

    def _check_size(self, prepared: Tensor, images: Tensor) -> None:
        if prepared.shape != images.shape:
            raise UserError(
                f"BPDA takes {self.preprocessing.registered_name} for the identity, but it makes images of "
                f"{prepared.shape[-1]} px from those of {images.shape[-1]} px: differentiate it instead"
            )

    def check_gradient(self, images: Tensor, labels: Tensor) -> None:
        """Raise a ``UserError`` if the preprocessing lets no gradient through: attacks would find nothing.

        Args:
            images: (B, 3, H, W), float, in [0, 1].
            labels: (B,), their true classes.
        """
        try:
            found = bool(input_gradient(self, images, labels).any())
        except RuntimeError:  # Of what leaves PyTorch on the way.
            found = False
        if not found:
            raise UserError(
                f"{self.preprocessing.registered_name} lets no gradient through, so that attacks would find nothing: "
                "attack it by BPDA"
            )
