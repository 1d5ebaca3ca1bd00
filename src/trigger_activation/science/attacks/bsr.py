"""The block shuffle and rotation attack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeFloat, PositiveInt

from trigger_activation.lazy import torch, torchvision
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks._blocks import shuffle_blocks
from trigger_activation.science.attacks._copies import CopyingAttack, summed, through_transforms
from trigger_activation.science.attacks.engine import GradientRule, State

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@ATTACKS.register("bsr", version=1)
class BSR(CopyingAttack):
    """BSR (Wang et al. 2024): the mean gradient over copies whose blocks change places and are rotated."""

    blocks: PositiveInt = 2
    """Blocks along each side."""
    copies: PositiveInt = 20
    degrees: NonNegativeFloat = 24.0
    """Angles are uniform in [-degrees, degrees], one for each block (or strip) of a copy."""
    rotate: Literal["block", "strip"] = "block"
    """What is rotated: each block, as the official code does, or each strip before it is cut, as toolkits do."""
    shortest: NonNegativeFloat = 1.0
    """Relative lengths of the strips are uniform in [shortest, shortest + 1); the official code takes 0."""

    @property
    def passes(self) -> float:
        """At each step one for each copy."""
        return self.steps * self.copies

    def gradient_rule(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> GradientRule:
        """The mean gradient of the cross entropy over shuffled and rotated copies."""
        at_once = self.images_at_once(network, images)

        def transform(source: Tensor) -> Iterator[Tensor]:
            for _ in range(self.copies):
                yield self.shuffle_and_rotate(source, generator)

        def rule(state: State) -> Tensor:
            gradients = through_transforms(network, transform, state.adversarial, labels, at_once)
            return summed(gradient for _, gradient in gradients) / self.copies

        return rule

    def shuffle_and_rotate(self, images: Tensor, generator: Generator) -> Tensor:
        """One copy of a batch (B, 3, H, W)."""

        def turn(part: Tensor) -> Tensor:
            share = float(torch.rand(1, generator=generator, device=generator.device))
            return rotated(part, (2 * share - 1) * self.degrees)

        changes = {f"change_{self.rotate}": turn}
        return shuffle_blocks(images, self.blocks, self.shortest, generator, **changes)


def rotated(images: Tensor, degrees: float) -> Tensor:
    """Images (B, 3, h, w) rotated about their centre, bilinear, zeros around them; an empty strip stays as it is."""
    if degrees == 0 or images.numel() == 0:
        return images
    transforms = torchvision.transforms
    return transforms.functional.rotate(images, degrees, transforms.InterpolationMode.BILINEAR)
