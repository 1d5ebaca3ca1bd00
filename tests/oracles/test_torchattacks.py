"""Attacks against torchattacks, an implementation by other people, at equal settings.

A pixel counts as equal within 1e-5, a hundredth of the smallest step below. Not all pixels need be: the two project in
a different order (clip the image, clip the difference) and ours folds batch normalisation, which both differ by
roundings, and where a gradient nearly cancels to zero a rounding can turn its sign in the next iteration. Double
precision makes that rare. torchattacks averages the loss over the
batch, ours adds it up; batches of 32 make that an exact factor, which neither the sign nor the momentum (both divide
by the mean of |g| over an image) can see.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.images import to_float

torchattacks = pytest.importorskip("torchattacks", reason="see requirements-oracles.txt")

SETTINGS = [(8 / 255, 2 / 255, 10), (16 / 255, 0.8 / 255, 20)]


@pytest.fixture
def batch(fashion16_test: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    images, labels = fashion16_test
    return to_float(images[:32]).double(), labels[:32]


@pytest.fixture
def network(trained_network: nn.Module) -> nn.Module:
    return trained_network.double()


def ours(name: str, network: nn.Module, batch: tuple[Tensor, Tensor], **parameters: Any) -> Tensor:
    return ATTACKS[name](**parameters).perturb(network, *batch, Generator().manual_seed(0))


def theirs(name: str, network: nn.Module, batch: tuple[Tensor, Tensor], **parameters: Any) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        result: Tensor = getattr(torchattacks, name)(network, **parameters)(*batch)
    return result


def assert_equal_pixels(left: Tensor, right: Tensor, clean: Tensor) -> None:
    assert ((left - right).abs() <= 1e-5).float().mean() >= 0.999
    assert (left - clean).abs().mean() > 1e-3  # both did attack


@pytest.mark.parametrize(("eps", "alpha", "steps"), SETTINGS)
class TestEqualSettings:
    def test_pgd_without_random_start(
        self, eps: float, alpha: float, steps: int, network: nn.Module, batch: tuple[Tensor, Tensor]
    ) -> None:
        left = ours("pgd", network, batch, eps=eps, step_size=alpha, steps=steps, random_start=False)
        right = theirs("PGD", network, batch, eps=eps, alpha=alpha, steps=steps, random_start=False)
        assert_equal_pixels(left, right, batch[0])

    def test_ifgsm(
        self, eps: float, alpha: float, steps: int, network: nn.Module, batch: tuple[Tensor, Tensor]
    ) -> None:
        left = ours("ifgsm", network, batch, eps=eps, step_size=alpha, steps=steps)
        assert_equal_pixels(left, theirs("BIM", network, batch, eps=eps, alpha=alpha, steps=steps), batch[0])

    @pytest.mark.parametrize("decay", [1.0, 0.5])
    def test_mifgsm(
        self,
        eps: float,
        alpha: float,
        steps: int,
        decay: float,
        network: nn.Module,
        batch: tuple[Tensor, Tensor],
    ) -> None:
        left = ours("mifgsm", network, batch, eps=eps, step_size=alpha, steps=steps, momentum=decay)
        right = theirs("MIFGSM", network, batch, eps=eps, alpha=alpha, steps=steps, decay=decay)
        assert_equal_pixels(left, right, batch[0])

    @pytest.mark.parametrize("decay", [1.0, 0.5])
    def test_nifgsm(
        self,
        eps: float,
        alpha: float,
        steps: int,
        decay: float,
        network: nn.Module,
        batch: tuple[Tensor, Tensor],
    ) -> None:
        left = ours("nifgsm", network, batch, eps=eps, step_size=alpha, steps=steps, momentum=decay)
        right = theirs("NIFGSM", network, batch, eps=eps, alpha=alpha, steps=steps, decay=decay)
        assert_equal_pixels(left, right, batch[0])

    @pytest.mark.parametrize("decay", [1.0, 0.5])
    def test_vmifgsm(
        self,
        eps: float,
        alpha: float,
        steps: int,
        decay: float,
        network: nn.Module,
        batch: tuple[Tensor, Tensor],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """With equal noise: theirs draws a normal tensor first, only to fill it with uniform numbers."""
        monkeypatch.setattr(torch, "randn_like", torch.empty_like)
        shared = {"eps": eps, "steps": steps}
        left = ours("vmifgsm", network, batch, step_size=alpha, momentum=decay, neighbours=4, radius=2.5, **shared)
        right = theirs("VMIFGSM", network, batch, alpha=alpha, decay=decay, N=4, beta=2.5, **shared)
        assert_equal_pixels(left, right, batch[0])

    @pytest.mark.parametrize("decay", [1.0, 0.0])
    def test_difgsm_without_transforms(
        self,
        eps: float,
        alpha: float,
        steps: int,
        decay: float,
        network: nn.Module,
        batch: tuple[Tensor, Tensor],
    ) -> None:
        shared = {"eps": eps, "steps": steps}
        left = ours("difgsm", network, batch, step_size=alpha, momentum=decay, probability=0, **shared)
        right = theirs("DIFGSM", network, batch, alpha=alpha, decay=decay, diversity_prob=0, **shared)
        assert_equal_pixels(left, right, batch[0])


@pytest.mark.parametrize(("size", "top", "left"), [(32, 0, 0), (32, 2, 1), (33, 1, 0), (34, 0, 0)])
def test_the_transform_of_difgsm(
    size: int, top: int, left: int, batch: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their transform without the resize back, which they leave out, resized back by torchvision."""
    from torchvision.transforms.functional import InterpolationMode, resize

    from trigger_activation.science.attacks.difgsm import diversify

    images = batch[0].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    attacker = torchattacks.DIFGSM(nn.Flatten(), resize_rate=1.1, diversity_prob=1.1)
    draws = iter([size, top, left])
    monkeypatch.setattr(torch, "randint", lambda **_: torch.tensor([next(draws)], dtype=torch.int32))
    padded = attacker.input_diversity(images)
    assert padded.shape[-2:] == (35, 35)
    expected = resize(padded, [32, 32], InterpolationMode.BILINEAR, antialias=False)
    torch.testing.assert_close(diversify(images, size, 35, top, left), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("size", "top", "left"), [(28, 3, 0), (29, 1, 2), (30, 0, 1), (31, 0, 0)])
def test_the_shrinking_transform_of_difgsm(
    size: int, top: int, left: int, batch: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Theirs pads to the size of the input, so nothing is left out."""
    from trigger_activation.science.attacks.difgsm import diversify

    images = batch[0].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    attacker = torchattacks.DIFGSM(nn.Flatten(), resize_rate=0.9, diversity_prob=1.1)
    draws, ranges = iter([size, top, left]), []

    def draw(low: int, high: int, **_: object) -> Tensor:
        ranges.append((low, high))
        return torch.tensor([next(draws)], dtype=torch.int32)

    monkeypatch.setattr(torch, "randint", draw)
    expected = attacker.input_diversity(images)
    assert ranges == [(28, 32), (0, 32 - size), (0, 32 - size)]
    torch.testing.assert_close(diversify(images, size, 32, top, left), expected, atol=1e-6, rtol=0)
