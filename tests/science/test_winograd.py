"""Winograd's convolutions against the definition's, with torch's own convolution as oracle."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch.nn.functional import conv2d

from trigger_activation.science._winograd import Filters

SHAPES = [(1, 1, 1, 4, 4), (3, 5, 7, 8, 4), (2, 16, 8, 8, 12)]
"""Images, channels in and out, height and width."""


@pytest.mark.parametrize(("batch", "inputs", "outputs", "height", "width"), SHAPES)
def test_convolves_as_the_definition(batch: int, inputs: int, outputs: int, height: int, width: int) -> None:
    images = torch.randn(batch, inputs, height, width, dtype=torch.float64)
    weight = torch.randn(outputs, inputs, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(Filters(weight).convolve(images), conv2d(images, weight, padding=1))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_is_as_exact_in_single_precision_as_its_module_says(memory_format: torch.memory_format) -> None:
    images = torch.randn(8, 256, 8, 8).to(memory_format=memory_format)
    weight = torch.randn(256, 256, 3, 3).to(memory_format=memory_format)
    exact = conv2d(images.double(), weight.double(), padding=1)
    error = (Filters(weight).convolve(images) - exact).abs().max() / exact.abs().max()
    assert error < 3e-5


def test_gradients_of_both_orders_are_those_of_the_definition() -> None:
    filters = Filters(torch.randn(3, 2, 3, 3, dtype=torch.float64))
    images = torch.randn(2, 2, 4, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(filters.convolve, (images,))
    assert torch.autograd.gradgradcheck(filters.convolve, (images,))


def test_transformed_filters_are_freed_with_their_network() -> None:
    """At once, and not when the garbage collector comes by: those of one ResNet-18 are 300 MB."""
    gc.disable()
    try:
        filters = Filters(torch.randn(3, 2, 3, 3))
        images = torch.randn(1, 2, 4, 4, requires_grad=True)
        filters.convolve(images).sum().backward()
        left = [weakref.ref(filters), weakref.ref(filters.turned)]
        del filters
        assert [each() for each in left] == [None, None]
    finally:
        gc.enable()
