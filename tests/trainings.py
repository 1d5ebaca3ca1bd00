"""A small training, for the fixtures and for the tests of training itself."""

from __future__ import annotations

from torch import Generator

from trigger_activation.training.loop import Streams
from trigger_activation.training.settings import Augmentation, TrainingSettings


def streams() -> Streams:
    return Streams(*(Generator().manual_seed(seed) for seed in range(5)))


def recipe(epochs: int, **changes: object) -> TrainingSettings:
    settings = TrainingSettings(
        epochs=epochs,
        batch_size=64,
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=5e-4,
        gradient_clip=5.0,
        augmentation=Augmentation(crop="pad", padding=1, horizontal_flip=True),
    )
    return settings.model_copy(update=changes)
