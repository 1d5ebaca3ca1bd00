"""Adversarial images of the smoke experiment, as its jobs see them."""

from __future__ import annotations

from pathlib import Path

import torch

from trigger_activation.store.arrays import load_arrays, save_arrays
from trigger_activation.store.records import hash_file
from trigger_activation.store.tae_sets import TaeSet, packed

TEST = Path("results/datasets/fashion16/test.npz")


def clean_images(count: int) -> torch.Tensor:
    """The first test images, uint8 (N, H, W, 3)."""
    return torch.from_numpy(load_arrays(TEST, ("images",))["images"][:count])


def adversarial_images(path: str) -> torch.Tensor:
    """All images of a TAE set, uint8 (N, H, W, 3)."""
    tae_set = TaeSet(Path(path))
    return tae_set.images(clean_images(len(tae_set)), hash_file(TEST))


def write_tae_set(path: str, images: torch.Tensor) -> None:
    """Replace the images of a TAE set."""
    save_arrays(Path(path), packed(images, clean_images(len(images)), hash_file(TEST)))
