"""Training images per second that one core reads and augments, beside the network that they are for.

ImageNet's images come from the store of a data set, in a file, and for comparison from JPEG files of 500×375 pixels
that are decoded one by one with the usual transforms.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torchvision.transforms import v2

from benchmarks.report import arguments, report
from benchmarks.training_cost import Setting, build, seconds, training_pass
from trigger_activation.science.training.data import augmented_batches
from trigger_activation.science.training.settings import Augmentation
from trigger_activation.store.arrays import map_array, save_arrays

COUNT = 1024
BATCH = 128
ROUNDS = 3
PAD = Augmentation(crop="pad", padding=4, horizontal_flip=True)
RESIZED = Augmentation(crop="resized", horizontal_flip=True)
NETWORKS = {32: Setting("resnet18", 32, 64, ROUNDS), 224: Setting("resnet18", 224, 8, ROUNDS)}


def pictures(count: int, height: int, width: int) -> Tensor:
    """Coarse patterns with some noise as bytes (N, H, W, 3), which JPEG compresses about as well as photographs."""
    random = Generator().manual_seed(0)
    coarse = torch.rand(count, 3, height // 8, width // 8, generator=random)
    fine = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    noisy = fine + 0.05 * torch.randn(fine.shape, generator=random)
    return (noisy.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def epoch(images: Tensor, augmentation: Augmentation, side: int) -> None:
    """Read all images once, as training does."""
    labels = torch.zeros(len(images), dtype=torch.int64)
    for _ in augmented_batches(images, labels, BATCH, augmentation, Generator(), Generator(), side):
        pass


def decode(files: list[Path], side: int) -> None:
    """Read all files once, as a folder of images is usually read."""
    transform = v2.Compose([v2.RandomResizedCrop(side), v2.RandomHorizontalFlip()])
    for file in files:
        with Image.open(file) as image:
            np.asarray(transform(image.convert("RGB")))


def network_rate(setting: Setting) -> float:
    """Images per second of a forward pass and a backward pass to the parameters."""
    network = build(setting).train()
    images = torch.rand(setting.batch_size, 3, setting.side, setting.side).to(memory_format=torch.channels_last)
    labels = torch.zeros(setting.batch_size, dtype=torch.int64)
    return setting.batch_size / seconds(lambda: training_pass(network, images, labels), setting.batches)


def readers(folder: Path) -> list[tuple[str, int, int, Callable[[], None]]]:
    """Name, side, number of images, and what reads them."""
    small = pictures(COUNT, 32, 32)
    save_arrays(folder / "train.npz", {"images": pictures(COUNT, 256, 256).numpy()})
    store = torch.from_numpy(map_array(folder / "train.npz", "images"))
    files = [folder / f"{number}.JPEG" for number in range(BATCH)]
    for file, picture in zip(files, pictures(BATCH, 375, 500).numpy(), strict=True):
        Image.fromarray(picture).save(file, quality=90)
    return [
        ("CIFAR in memory", 32, COUNT, lambda: epoch(small, PAD, 32)),
        ("ImageNet store", 224, COUNT, lambda: epoch(store, RESIZED, 224)),
        ("ImageNet JPEG files", 224, BATCH, lambda: decode(files, 224)),
    ]


def measure(folder: Path) -> list[dict[str, Any]]:
    """One row for each reader."""
    rates = {side: network_rate(setting) for side, setting in NETWORKS.items()}
    rows = []
    for name, side, count, read in readers(folder):
        rate = count / seconds(read, ROUNDS)
        rows.append(
            {
                "reader": name,
                "px": side,
                "images/s": round(rate),
                f"{NETWORKS[side].network} images/s": round(rates[side], 1),
                "x network": round(rate / rates[side], 1),
            }
        )
    return rows


def main() -> None:
    """Measure all with one thread."""
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        report(measure(Path(folder)), options.json)


if __name__ == "__main__":
    main()
