"""Seeds derived from what is made, never shared: artifact path + stream name -> an independent generator."""

from __future__ import annotations

import hashlib

from trigger_activation.lazy import torch


def derive_seed(path: str, stream: str) -> int:
    """A 63-bit seed for one stream of one artifact.

    The path, not the recipe, decides: a raised version number or another budget does not reshuffle everything.
    """
    text = hashlib.sha256(f"{path}\n{stream}".encode()).digest()
    return int.from_bytes(text[:8], "big") >> 1


def image_seeds(path: str, images: str, count: int) -> list[int]:
    """A seed for every image of a set that an artifact reads; its position in the set decides, not its batch."""
    return [derive_seed(path, f"{images} {position}") for position in range(count)]


def torch_generator(path: str, stream: str, device: torch.device) -> torch.Generator:
    """A seeded torch generator on ``device``."""
    return torch.Generator(device).manual_seed(derive_seed(path, stream))
