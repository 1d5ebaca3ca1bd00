"""What all networks of a protocol share in training (paper, section IV-A)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Augmentation(BaseModel):
    """Random changes of training images, drawn anew in every epoch."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    crop: Literal["pad", "resized", "none"]
    """``pad``: zero padding and a random crop of the old size; ``resized``: a random area and aspect ratio."""
    padding: Annotated[int, Field(ge=0)] = 0
    horizontal_flip: bool


class TrainingSettings(BaseModel):
    """Optimiser, schedule and augmentation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: Annotated[int, Field(gt=0)]
    batch_size: Annotated[int, Field(gt=0)]
    learning_rate: Annotated[float, Field(gt=0)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    gradient_clip: Annotated[float, Field(gt=0)]
    """Largest gradient norm of one step."""
    augmentation: Augmentation
