"""How a processor rounds: what decides whether two machines make the same bytes of one recipe."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from trigger_activation.lazy import functional, torch

SHAPES = ((4, 3, 16, 32), (4, 64, 64, 8), (2, 96, 128, 32))
"""Batch, channels in and out, side of the maps: convolution libraries choose their method by these."""


def arithmetic(device: torch.device) -> str:
    """Eight hexadecimal digits that are equal where networks compute the same bytes with the threads that are set.

    Not a name: processors of one name differ (virtual machines hide instructions), and some of other names do not. It
    is a hash over a few layers and their gradients, computed as networks are trained and attacked, in float32.
    """
    digest = hashlib.sha256()
    for values in _computed(device):
        digest.update(values.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def _computed(device: torch.device) -> Iterator[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return (torch.rand(shape, generator=generator) - 0.5).to(device)

    for batch, channels, filters, side in SHAPES:
        for memory in (torch.contiguous_format, torch.channels_last):
            images = draw(batch, channels, side, side).contiguous(memory_format=memory).requires_grad_()
            weights = draw(filters, channels, 3, 3).contiguous(memory_format=memory).requires_grad_()
            maps = functional.batch_norm(functional.conv2d(images, weights, padding=1), None, None, training=True)
            logits = functional.relu(maps).mean(dim=(2, 3)) @ draw(filters, 10)
            loss = functional.cross_entropy(logits, torch.arange(batch, device=device))
            yield from (maps.detach(), logits.detach(), *torch.autograd.grad(loss, [images, weights]))
