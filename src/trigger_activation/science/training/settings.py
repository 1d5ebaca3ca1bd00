"""What all networks of a protocol share in training (paper, section IV-A)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from trigger_activation.parameters import StrictModel


class Augmentation(StrictModel):
    """Random changes of training images, drawn anew in every epoch."""

    crop: Literal["pad", "resized", "none"]
    """``pad``: zero padding and a random crop of the old size; ``resized``: a random area and aspect ratio."""
    padding: Annotated[int, Field(ge=0)] = 0
    horizontal_flip: bool


class TrainingSettings(StrictModel):
    """Optimiser, schedule and augmentation."""

    epochs: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    gradient_clip: PositiveFloat
    """Largest gradient norm of one step."""
    augmentation: Augmentation
    precision: Annotated[Literal["float32", "bfloat16"], Field(exclude_if=lambda precision: precision == "float32")] = (
        "float32"
    )
    """Of the network's passes in training, forward and backward; parameters, trigger and optimiser stay in float32.
    Recipes leave out float32, which trainings had before there was a choice."""
