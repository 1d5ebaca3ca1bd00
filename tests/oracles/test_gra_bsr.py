"""GRA, VMI-FGSM and BSR against formulas, written out by image, pixel and block, and against MI-FGSM in the limit."""

from __future__ import annotations

import math
from itertools import groupby, pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from tests.support.crafting import EPS, STEPS, attack, close, craft, curved, directions, random_batch, same, seeded
from trigger_activation.science.attacks import bsr
from trigger_activation.science.attacks._blocks import strip_lengths
from trigger_activation.science.attacks.engine import State, counting_passes
from trigger_activation.science.attacks.gra import blend


def gradient(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Of the cross entropy, summed over the batch."""
    images = images.clone().requires_grad_()
    return torch.autograd.grad(functional.cross_entropy(network(images), labels, reduction="sum"), images)[0]


def cosine(left: list[float], right: list[float]) -> float:
    inner = math.fsum(a * b for a, b in zip(left, right, strict=True))
    return inner / math.sqrt(math.fsum(a * a for a in left) * math.fsum(b * b for b in right))


def sign(value: float) -> int:
    return (value > 0) - (value < 0)


def gra_by_pixel(
    network: nn.Module, images: Tensor, labels: Tensor, *, neighbours: int, radius: float, decay: float
) -> Tensor:
    """GRA's five steps with lists of floats for each image."""
    eps, generator, count = float(EPS), seeded(), images[0].numel()
    clean = [image.flatten().tolist() for image in images]
    adversarial = images.clone()
    velocity = [[0.0] * count for _ in images]
    sizes = [[1 / decay] * count for _ in images]
    for _ in range(STEPS):
        centre = gradient(network, adversarial, labels)
        noises = [
            torch.empty_like(images).uniform_(-radius * eps, radius * eps, generator=generator)
            for _ in range(neighbours)
        ]
        around = [gradient(network, adversarial + noise, labels) for noise in noises]
        moved = []
        for i, start in enumerate(clean):
            own = centre[i].flatten().tolist()
            others = [g[i].flatten().tolist() for g in around]
            mean = [math.fsum(pixel) / neighbours for pixel in zip(*others, strict=True)]
            s = cosine(own, mean)
            blended = [s * g + (1 - s) * m for g, m in zip(own, mean, strict=True)]
            magnitude = math.fsum(map(abs, blended)) / count
            current = adversarial[i].flatten().tolist()
            for pixel, g in enumerate(blended):
                v = velocity[i][pixel] + g / magnitude
                if sign(v) != sign(velocity[i][pixel]):
                    sizes[i][pixel] *= decay
                velocity[i][pixel] = v
                value = current[pixel] + eps / STEPS * sizes[i][pixel] * sign(v)
                current[pixel] = min(max(min(max(value, start[pixel] - eps), start[pixel] + eps), 0), 1)
            moved.append(current)
        adversarial = torch.tensor(moved, dtype=images.dtype).view_as(images)
    return adversarial


class TestGRA:
    @pytest.mark.parametrize("decay", [0.94, 0.5, 1.0])
    @pytest.mark.parametrize("radius", [3.5, 30.0])
    def test_is_its_formula(self, radius: float, decay: float) -> None:
        network, batch = curved(), random_batch()
        settings: dict[str, Any] = {"neighbours": 5, "radius": radius, "decay": decay}
        same(craft("gra", network, *batch, **settings), gra_by_pixel(network, *batch, **settings))

    def test_its_direction_blends_the_gradient_and_the_mean_of_its_neighbours(self) -> None:
        network, (images, labels) = curved(), random_batch()
        rule = directions(attack("gra", neighbours=5, radius=30.0), network, images, labels)
        generator, reach = seeded(), 30 * float(EPS)
        noises = [torch.empty_like(images).uniform_(-reach, reach, generator=generator) for _ in range(5)]
        own, mean = gradient(network, images, labels), torch.zeros_like(images)
        for noise in noises:
            mean += gradient(network, images + noise, labels) / 5
        cosines = [cosine(*(g[i].flatten().tolist() for g in (own, mean))) for i in range(3)]
        assert max(cosines) < 0.95
        expected = [s * own[i] + (1 - s) * mean[i] for i, s in enumerate(cosines)]
        close(rule(images), torch.stack(expected))

    def test_without_neighbourhood_and_decay_it_is_mifgsm(self) -> None:
        network, batch = curved(), random_batch()
        same(craft("gra", network, *batch, radius=0.0, decay=1.0, steps=20), craft("mifgsm", network, *batch, steps=20))

    def test_without_neighbourhood_the_gradient_is_that_of_the_cross_entropy(self) -> None:
        network, (images, labels) = curved(), random_batch()
        rule = directions(attack("gra", radius=0.0), network, images, labels)
        close(rule(images), gradient(network, images, labels))

    @pytest.mark.parametrize(("name", "radius"), [("gra", 3.5), ("vmifgsm", 1.5)])
    def test_neighbours_are_uniform_and_not_clipped(self, name: str, radius: float) -> None:
        seen: list[Tensor] = []
        network, (images, labels) = curved(), random_batch()
        network.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].detach()))
        # The same image everywhere, since passes need not keep batches together.
        images = images[:1].expand(3, -1, -1, -1)
        directions(attack(name, neighbours=40), network, images, labels)(images)
        distances = torch.cat(seen) - images[0]
        distances = distances[distances.abs().amax(dim=(1, 2, 3)) > 0]
        assert len(distances) == 40 * 3
        reach, sigma = radius * float(EPS), distances.numel() ** -0.5
        assert 0.999 * reach < distances.abs().max() <= reach
        assert abs(distances.mean()) < 4 * sigma * reach * 3**-0.5
        assert abs(distances.square().mean() - reach**2 / 3) < 4 * sigma * reach**2 * (4 / 45) ** 0.5
        assert torch.cat(seen).min() < 0

    def test_opposite_gradients_are_blended_with_a_cosine_of_minus_one(self) -> None:
        own, _ = random_batch()
        close(blend(own, -2 * own), -own + 2 * -2 * own)

    def test_orthogonal_gradients_give_the_neighbourhood(self) -> None:
        own, around = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
        own[0, 0, 0, 0], around[0, 1, 1, 1] = 2, 5
        assert torch.equal(blend(own, around), around)

    def test_a_zero_gradient_on_either_side_counts_as_a_cosine_of_one(self) -> None:
        own, _ = random_batch()
        zero = torch.zeros_like(own)
        assert torch.equal(blend(own, zero), own)
        assert torch.equal(blend(zero, own), zero)
        own[1] = 0
        assert blend(own, own.flip(2)).isfinite().all()

    def test_the_cosine_of_tiny_gradients_is_that_of_large_ones(self) -> None:
        """Where predictions are saturated, squares of single-precision gradients would underflow."""
        own, around = (random_batch(count=6)[0].float() - 0.5).split(3)
        torch.testing.assert_close(blend(own * 1e-25, around * 1e-25) * 1e25, blend(own, around))

    @pytest.mark.parametrize("decay", [0.94, 0.5])
    def test_step_sizes_are_powers_of_the_decay_from_minus_one_on(self, decay: float) -> None:
        gradients = torch.randn(30, 2, 3, 5, 5, generator=seeded(), dtype=torch.float64)
        attacker = attack("gra", decay=decay)
        state = State(torch.zeros_like(gradients[0]), torch.zeros_like(gradients[0]))
        moves = [attacker.step(state, g) / attacker.alpha for g in gradients]
        same(moves[0], gradients[0].sign())
        powers = torch.stack([move.abs().log() / math.log(decay) for move in moves])
        same(powers, powers.round())
        assert powers.min() == 0
        assert powers.max() > 5
        flips = torch.stack([a.sign() != b.sign() for a, b in pairwise(moves)])
        same(powers.diff(dim=0), flips.double())

    def test_a_pixel_without_gradient_keeps_its_first_size_until_it_moves(self) -> None:
        attacker = attack("gra", decay=0.5)
        state = State(torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2))
        gradient = torch.ones(1, 3, 2, 2)
        gradient[0, 0, 0, 0] = 0
        assert attacker.step(state, gradient)[0, 0, 0, 0] == 0
        gradient[0, 0, 0, 0] = -1
        same(attacker.step(state, gradient)[0, 0, 0, 0], torch.tensor(-attacker.alpha))
        same(attacker.step(state, gradient)[0, 0, 0, 1], torch.tensor(attacker.alpha))


class TestVMIFGSM:
    def test_is_its_formula(self) -> None:
        """Wang & He 2021 written out, one image at a time."""
        network, (images, labels) = curved(), random_batch()
        radius, eps, generator = 30.0, float(EPS), seeded()
        noises = [
            [torch.empty_like(images).uniform_(-radius * eps, radius * eps, generator=generator) for _ in range(5)]
            for _ in range(STEPS)
        ]
        expected = []
        for i, (image, label) in enumerate(zip(images.split(1), labels.split(1), strict=True)):
            adversarial, velocity, variance = image, torch.zeros_like(image), torch.zeros_like(image)
            for drawn in noises:
                own = gradient(network, adversarial, label)
                velocity = velocity + (own + variance) / (own + variance).abs().mean()
                around = [gradient(network, adversarial + noise[i], label) for noise in drawn]
                variance = torch.stack(around).mean(dim=0) - own
                moved = adversarial + eps / STEPS * velocity.sign()
                adversarial = (image + (moved - image).clamp(-eps, eps)).clamp(0, 1)
            expected.append(adversarial)
        result = craft("vmifgsm", network, images, labels, neighbours=5, radius=radius)
        same(result, torch.cat(expected))
        assert not torch.equal(result, craft("mifgsm", network, images, labels))

    def test_without_neighbourhood_it_is_mifgsm(self) -> None:
        network, batch = curved(), random_batch()
        same(craft("vmifgsm", network, *batch, radius=0.0, steps=20), craft("mifgsm", network, *batch, steps=20))

    def test_its_first_step_is_that_of_mifgsm(self) -> None:
        network, batch = curved(), random_batch()
        same(craft("vmifgsm", network, *batch, steps=1), craft("mifgsm", network, *batch, steps=1))

    @pytest.mark.parametrize("name", ["gra", "vmifgsm"])
    def test_it_takes_as_many_passes_as_it_says(self, name: str) -> None:
        network, (images, labels) = curved(), random_batch()
        with counting_passes(network) as passed:
            craft(name, network, images, labels, neighbours=6)
        assert sum(passed) / len(images) == attack(name, neighbours=6).passes == STEPS * 7


def numbered(side: int) -> Tensor:
    """Two images (2, 3, H, H) whose pixels are numbered, from another million on in each channel."""
    pixels = torch.arange(side**2, dtype=torch.float64).view(side, side)
    return pixels + 1e6 * torch.arange(6).view(2, 3, 1, 1)


def lines(shuffled: Tensor, axis: int) -> list[tuple[int, list[int]]]:
    """For each line across an axis of the first channel (H, H): which one it was, and where its pixels were in it.

    Empty if lines were broken, as all are that were cut along the other axis first.
    """
    side, numbers = len(shuffled), shuffled.long()
    origins, places = (numbers // side, numbers % side) if axis == 0 else (numbers.T % side, numbers.T // side)
    if (origins != origins[:, :1]).any():
        return []
    return list(zip(origins[:, 0].tolist(), places.tolist(), strict=True))


def runs(numbers: list[int]) -> list[list[int]]:
    """Cut where consecutive numbers do not follow each other."""
    groups = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    return [[number for _, number in group] for _, group in groups]


class TestBlocks:
    @settings(max_examples=200, deadline=None, database=None)
    @given(side=st.integers(1, 300), count=st.integers(1, 12), shortest=st.sampled_from([0.0, 1.0]), seed=st.integers())
    def test_lengths_add_up_to_the_side(self, side: int, count: int, shortest: float, seed: int) -> None:
        lengths = strip_lengths(side, count, shortest, seeded(seed % 2**63))
        assert len(lengths) == count
        assert sum(lengths) == side
        assert min(lengths) >= 0
        if shortest == 1:
            # Relative lengths are in [1, 2), and both cuts of a strip are rounded.
            assert side / (2 * count - 1) - 1 <= min(lengths)
            assert max(lengths) <= 2 * side / (count + 1) + 1

    @pytest.mark.parametrize("shortest", [0.0, 1.0])
    def test_every_strip_is_equally_long_on_average(self, shortest: float) -> None:
        generator = seeded()
        lengths = torch.tensor([strip_lengths(224, 4, shortest, generator) for _ in range(2000)]).double()
        assert (lengths.mean(0) - 56).abs().max() < 4 * float(lengths.std(0).max()) * 2000**-0.5

    def test_lengths_are_shares_of_uniform_numbers(self) -> None:
        relative = 1 + torch.rand(5, generator=seeded()).double()
        expected = relative / relative.sum() * 1000
        assert (torch.tensor(strip_lengths(1000, 5, 1.0, seeded())) - expected).abs().max() <= 1

    @pytest.mark.parametrize("blocks", [1, 2, 3, 5])
    @pytest.mark.parametrize("shortest", [0.0, 1.0])
    def test_without_rotation_strips_and_their_blocks_change_places(self, blocks: int, shortest: float) -> None:
        attacker = attack("bsr", blocks=blocks, degrees=0.0, shortest=shortest)
        for seed in range(20):
            shuffled = attacker.shuffle_and_rotate(numbered(16), seeded(seed))[0, 0]
            whole = lines(shuffled, axis=0) or lines(shuffled, axis=1)
            origins = [origin for origin, _ in whole]
            patterns = [pattern for pattern, _ in groupby(places for _, places in sorted(whole))]
            # There may be fewer pieces: a cut is invisible where neighbours stay together.
            for order, pieces in [(origins, runs(origins)), *((pattern, runs(pattern)) for pattern in patterns)]:
                assert sorted(order) == list(range(16))
                assert len(pieces) <= blocks
            assert len(patterns) <= blocks

    @pytest.mark.parametrize("blocks", [1, 2, 3, 12])
    @pytest.mark.parametrize("side", [7, 16, 32, 224])
    def test_without_rotation_it_is_a_permutation_of_pixels(self, side: int, blocks: int) -> None:
        images = numbered(side)
        shuffled = attack("bsr", blocks=blocks, degrees=0.0, shortest=0.0).shuffle_and_rotate(images, seeded())
        assert shuffled.shape == images.shape
        assert torch.equal(shuffled.flatten(2).sort().values, images.flatten(2))

    def test_all_channels_and_images_move_alike(self) -> None:
        images = numbered(16)
        shuffled = attack("bsr", blocks=3, degrees=0.0).shuffle_and_rotate(images, seeded())
        assert not torch.equal(shuffled, images)
        assert torch.equal(shuffled - shuffled[:1, :1], images - images[:1, :1])

    def test_rows_and_columns_come_first_equally_often(self) -> None:
        attacker, generator = attack("bsr", blocks=4, degrees=0.0), seeded()
        copies = [attacker.shuffle_and_rotate(numbered(16), generator)[0, 0] for _ in range(400)]
        rows, columns = (sum(bool(lines(copy, axis)) for copy in copies) for axis in (0, 1))
        assert abs(rows - 200) < 4 * 10
        assert abs(columns - 200) < 4 * 10

    def test_every_strip_is_equally_often_the_first(self) -> None:
        attacker, generator = attack("bsr", blocks=3, degrees=0.0), seeded()
        copies = [attacker.shuffle_and_rotate(numbered(16), generator)[0, 0] for _ in range(300)]
        origins = [[origin for origin, _ in lines(copy, 0) or lines(copy, 1)] for copy in copies]
        # The first strip begins with line 0, the last ends with line 15; each is at its place in a third of the copies.
        assert abs(sum(order[0] == 0 for order in origins) - 100) < 4 * (300 * 2 / 9) ** 0.5
        assert abs(sum(order[-1] == 15 for order in origins) - 100) < 4 * (300 * 2 / 9) ** 0.5


def rotated_by_hand(image: Tensor, degrees: float) -> Tensor:
    """Counter-clockwise about the centre, bilinear between pixel centres, zeros outside; (H, W)."""
    height, width = image.shape
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    result = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            y, x = row - (height - 1) / 2, column - (width - 1) / 2
            # Rows point downwards, so the source of a counter-clockwise turn is found clockwise.
            source = sin * x + cos * y + (height - 1) / 2, cos * x - sin * y + (width - 1) / 2
            for r in (math.floor(source[0]), math.floor(source[0]) + 1):
                for c in (math.floor(source[1]), math.floor(source[1]) + 1):
                    if 0 <= r < height and 0 <= c < width:
                        result[row, column] += image[r, c] * (1 - abs(source[0] - r)) * (1 - abs(source[1] - c))
    return result


class TestRotation:
    @pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 9), (9, 4), (1, 6)])
    @pytest.mark.parametrize("degrees", [24.0, -7.3, 0.0])
    def test_is_bilinear_with_zeros_around(self, degrees: float, height: int, width: int) -> None:
        image = torch.rand(1, 1, height, width, generator=seeded(), dtype=torch.float64)
        # torchvision works out the angles in single precision.
        expected = rotated_by_hand(image[0, 0], degrees)
        torch.testing.assert_close(bsr.rotated(image, degrees)[0, 0], expected, atol=1e-5, rtol=0)

    def test_an_empty_strip_stays_as_it_is(self) -> None:
        assert bsr.rotated(torch.zeros(1, 3, 0, 8), 20).shape == (1, 3, 0, 8)

    @pytest.mark.parametrize(("what", "expected"), [("block", 9), ("strip", 3)])
    def test_each_part_of_a_copy_has_an_angle_of_its_own(
        self, what: str, expected: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[tuple[torch.Size, float]] = []

        def record(part: Tensor, degrees: float) -> Tensor:
            seen.append((part.shape, degrees))
            return part

        monkeypatch.setattr(bsr, "rotated", record)
        attacker, generator = attack("bsr", blocks=3, rotate=what), seeded()
        for _ in range(100):
            attacker.shuffle_and_rotate(numbered(16), generator)
        angles = torch.tensor([degrees for _, degrees in seen], dtype=torch.float64)
        assert len(angles) == 100 * expected
        assert angles.unique().numel() > 0.99 * len(angles)
        assert 23 < angles.abs().max() <= 24
        sigma = len(angles) ** -0.5
        assert abs(angles.mean()) < 4 * sigma * 24 * 3**-0.5
        assert abs(angles.square().mean() - 24**2 / 3) < 4 * sigma * 24**2 * (4 / 45) ** 0.5
        assert all(shape[:2] == (2, 3) for shape, _ in seen)
        longest = {max(shape[2:]) for shape, _ in seen}
        assert longest == {16} if what == "strip" else max(longest) < 16
        assert sum(shape[2] * shape[3] for shape, _ in seen) == 100 * 16**2

    @pytest.mark.parametrize("what", ["block", "strip"])
    def test_rotated_copies_keep_their_shape_even_with_empty_strips(self, what: str) -> None:
        attacker = attack("bsr", blocks=12, rotate=what, shortest=0.0)
        for seed in range(10):
            assert attacker.shuffle_and_rotate(numbered(8), seeded(seed)).shape == (2, 3, 8, 8)


class TestBSR:
    @pytest.mark.parametrize("copies", [1, 5])
    def test_one_block_that_is_not_rotated_is_mifgsm(self, copies: int) -> None:
        network, batch = curved(), random_batch()
        plain = craft("mifgsm", network, *batch, steps=20)
        same(craft("bsr", network, *batch, blocks=1, degrees=0.0, copies=copies, steps=20), plain)

    @pytest.mark.parametrize("changes", [{}, {"blocks": 3, "rotate": "strip"}, {"shortest": 0.0, "copies": 3}])
    def test_its_gradient_is_that_of_the_mean_over_transformed_copies(self, changes: dict[str, Any]) -> None:
        network, (images, labels) = curved(), random_batch()
        attacker, generator = attack("bsr", **changes), seeded()
        source = images.clone().requires_grad_()
        total = torch.zeros(())
        for _ in range(attacker.copies):
            copy = attacker.shuffle_and_rotate(source, generator)
            total = total + functional.cross_entropy(network(copy), labels, reduction="sum")
        (expected,) = torch.autograd.grad(total / attacker.copies, source)
        close(directions(attacker, network, images, labels)(images), expected)

    def test_each_iteration_draws_other_copies(self) -> None:
        network, (images, labels) = curved(), random_batch()
        rule = directions(attack("bsr"), network, images, labels)
        assert not torch.equal(rule(images), rule(images))
