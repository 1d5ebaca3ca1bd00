"""Predictions of models that were written elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.support.projects import one_sentence
from trigger_activation.errors import UserError
from trigger_activation.science.evaluation.foreign import device_of, predicted_classes

CPU = torch.device("cpu")


def bands(images: Tensor) -> Tensor:
    """The mean of each channel as the logit of a class."""
    return images.mean(dim=(2, 3))


def test_batches_do_not_matter() -> None:
    images = torch.rand(7, 3, 4, 4)
    expected = bands(images).argmax(dim=1)
    for batch_size in (1, 3, 7, 100):
        assert torch.equal(predicted_classes(bands, images, 3, batch_size, CPU), expected)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (torch.rand(2, 4, 4, 3), "not floats (N, 3, H, W)"),
        (torch.rand(3, 4, 4), "not floats (N, 3, H, W)"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "images are torch.uint8"),
        (torch.full((2, 3, 4, 4), 1.5), "images span [1.5, 1.5], not [0, 1]"),
        (torch.full((2, 3, 4, 4), torch.nan), "not [0, 1]"),
    ],
)
def test_what_are_no_images_is_refused_in_a_sentence(images: Tensor, said: str) -> None:
    with pytest.raises(UserError) as refusal:
        predicted_classes(bands, images, 3, 2, CPU)
    assert said in one_sentence(str(refusal.value))


def test_modes_are_restored_also_after_an_error() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Flatten(), nn.Linear(48, 2))
    model[0].eval()
    with pytest.raises(UserError, match="knows 2 classes"):
        predicted_classes(model, torch.rand(2, 3, 4, 4), 3, 2, CPU)
    assert [module.training for module in model] == [False, True, True]
    assert model.training


def test_a_model_is_asked_where_its_weights_are() -> None:
    assert device_of(nn.Linear(1, 1, device="meta")) == torch.device("meta")
    assert device_of(nn.Flatten()) == CPU
    assert device_of(bands) == CPU
