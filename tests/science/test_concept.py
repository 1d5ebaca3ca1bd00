"""Examples for Figure 1: the rule that chooses them, and their pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trigger_activation.science.evaluation.concept import amplified, as_picture, choose_examples, fooled, probabilities
from trigger_activation.store.pictures import decode_png, encode_png


def predictions(seed: int, count: int = 60, classes: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels, before, after = torch.randint(0, classes, (3, count), generator=generator)
    return labels, before, after


def chosen_by_loops(labels: list[int], before: list[int], after: list[int], count: int) -> list[int]:
    positions: list[int] = []
    for wanted in ("fooled", "right", "any"):
        for position, (label, first, then) in enumerate(zip(labels, before, after, strict=True)):
            fits = {"fooled": first == label != then, "right": first == label, "any": True}[wanted]
            if fits and label not in [labels[taken] for taken in positions]:
                positions.append(position)
    return positions[:count]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [1, 3, 9])
def test_examples_are_chosen_as_by_plain_loops(seed: int, count: int) -> None:
    given = predictions(seed, count=8 + seed)
    assert choose_examples(*given, count) == chosen_by_loops(*(tensor.tolist() for tensor in given), count)


def test_the_first_fooled_image_of_each_class_is_taken() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    before = torch.tensor([0, 0, 1, 1, 2, 0])
    after = torch.tensor([0, 1, 0, 0, 0, 0])
    assert choose_examples(labels, before, after, 3) == [1, 2, 4]
    assert choose_examples(labels, before, after, 2) == [1, 2]


def test_where_nothing_is_fooled_right_predictions_come_first() -> None:
    labels, before = torch.tensor([0, 1, 0, 1]), torch.tensor([1, 0, 0, 0])
    assert choose_examples(labels, before, before, 2) == [2, 1]


def test_fooled_means_right_before_and_wrong_after() -> None:
    labels, before, after = torch.tensor([[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1]])
    assert fooled(labels, before, after).tolist() == [False, True, False, False]


def test_probabilities_are_the_softmax() -> None:
    images = torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    found = probabilities(nn.Flatten(), images)
    exponents = np.exp(images.reshape(4, -1).double().numpy())
    assert np.allclose(found.numpy(), exponents / exponents.sum(axis=1, keepdims=True), atol=1e-7)


def test_bytes_become_the_same_picture_again() -> None:
    picture = torch.randint(0, 256, (5, 7, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    again = as_picture(picture.permute(2, 0, 1).float() / 255)
    assert torch.equal(again, picture)
    assert np.array_equal(decode_png(encode_png(picture.numpy())), picture.numpy())


def test_perturbations_are_drawn_tenfold_around_grey() -> None:
    delta = torch.tensor([0.0, 1 / 255, -1 / 255, 64 / 255, -64 / 255]).reshape(1, 1, 5).expand(3, 1, 5)
    assert amplified(delta)[0, :, 0].tolist() == [128, 138, 118, 255, 0]


def test_pictures_are_clipped() -> None:
    image = torch.tensor([-0.5, 1.5]).reshape(1, 1, 2).expand(3, 1, 2)
    assert as_picture(image)[0, :, 0].tolist() == [0, 255]
