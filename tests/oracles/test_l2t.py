"""L2T against its table of operations, scipy's cosine transform, Pillow's geometry, and plain autograd."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import fft
from torch import Tensor
from torch.nn import functional

from tests.support.crafting import EPS, attack, close, craft, curved, directions, random_batch, same, seeded
from trigger_activation.science.attacks import _operations
from trigger_activation.science.attacks._operations import DROPOUTS, Operation, dct, inverse_dct, pool
from trigger_activation.science.attacks.l2t import L2T, chained, updated

COPIES: dict[str, list[int]] = {  # of each member of a family
    "identity": [1],
    "rotate": [5] * 10,
    "scale": list(range(1, 11)),
    "resize_pad": [1] * 10,
    "block_shuffle": [10] * 10,
    "admix": [3 * k for _ in (0.2, 0.4) for k in (1, 2, 3, 4, 5)],
    "dropout": [1, 2, 3, 4, 5, 4, 4, 4, 4, 4],
    "block_mask": [5] * 10,
    "spectrum": [10] * 9,
    "crop": [5] * 9,
    "translate": [5] * 9,
}
MEMBERS = [(family, member) for family, copies in COPIES.items() for member in range(len(copies))]


def family(name: str, noise: float = 8 / 255, spectrum_copies: int = 10) -> list[Operation]:
    return pool([name], noise, spectrum_copies)  # type: ignore[list-item]


def applied(name: str, member: int, images: Tensor, seed: int = 0, noise: float = 8 / 255) -> list[Tensor]:
    """The copies that an operation makes."""
    return list(family(name, noise)[member].apply(images, seeded(seed)))


class TestPool:
    def test_has_98_operations(self) -> None:
        assert len(pool(list(COPIES), 0.0, 10)) == len(MEMBERS) == 1 + 10 * 7 + 9 * 3 == 98
        assert len(pool(attack("l2t").families, 0.0, 10)) == 98

    @pytest.mark.parametrize("name", COPIES)
    def test_the_copies_of_a_family(self, name: str) -> None:
        assert [operation.copies for operation in family(name)] == COPIES[name]

    @pytest.mark.parametrize(
        ("spectrum_copies", "mean", "product_mean", "most"), [(10, 5.83, 33.9, 225), (5, 5.37, 28.8, 225)]
    )
    def test_the_expected_number_of_copies(
        self, spectrum_copies: int, mean: float, product_mean: float, most: int
    ) -> None:
        copies = [operation.copies for operation in pool(list(COPIES), 0.0, spectrum_copies)]
        products = [a * b for a in copies for b in copies]
        assert sum(copies) / 98 == pytest.approx(mean, abs=0.005)
        assert sum(products) / 98**2 == pytest.approx(product_mean, abs=0.1)
        assert max(products) == most

    @pytest.mark.parametrize("side", [8, 16, 32])
    @pytest.mark.parametrize(("name", "member"), MEMBERS)
    def test_each_operation_makes_its_copies_in_the_shape_of_the_images(
        self, name: str, member: int, side: int
    ) -> None:
        images = random_batch(side, count=2)[0].float()
        copies = applied(name, member, images)
        assert len(copies) == COPIES[name][member]
        assert {(copy.shape, copy.dtype) for copy in copies} == {(images.shape, images.dtype)}

    @pytest.mark.parametrize(("name", "member"), MEMBERS)
    def test_gradients_flow_through_every_copy(self, name: str, member: int) -> None:
        images = random_batch(16, count=2)[0].requires_grad_()
        for copy in applied(name, member, images):
            (gradient,) = torch.autograd.grad(copy.sum(), images, retain_graph=True)
            assert gradient.isfinite().all()
            assert (gradient != 0).any()

    def test_a_chain_makes_copies_of_copies_in_order(self) -> None:
        images, _ = random_batch()
        first, second = family("scale")[2], family("block_mask")[1]
        copies = list(chained([first, second], images, seeded()))
        generator = seeded()
        expected = [copy for one in first.apply(images, generator) for copy in second.apply(one, generator)]
        assert len(copies) == 3 * 5
        assert all(torch.equal(*pair) for pair in zip(copies, expected, strict=True))


class TestOperations:
    """Each on images of its own, by another library or written out."""

    @pytest.fixture
    def images(self) -> Tensor:
        return random_batch(32, count=4)[0]

    def test_identity(self, images: Tensor) -> None:
        assert torch.equal(applied("identity", 0, images)[0], images)

    @pytest.mark.parametrize("member", range(10))
    def test_rotate_takes_the_nearest_pixel(self, member: int, images: Tensor) -> None:
        """Counter-clockwise like Pillow; on the diagonals of 45 degrees, just between two, it may be either."""
        for halvings, copy in enumerate(applied("rotate", member, images)):
            plane = Image.fromarray(images[0, 0].float().numpy())
            expected = plane.rotate(30 * (member + 1) / 2**halvings, Image.Resampling.NEAREST)
            assert (copy[0, 0].float() == torch.tensor(np.array(expected))).double().mean() > 0.95

    def test_rotating_by_right_angles_only_moves_pixels(self, images: Tensor) -> None:
        for member, turns in ((2, 1), (5, 2), (8, 3)):
            assert torch.equal(applied("rotate", member, images)[0], torch.rot90(images, turns, (2, 3)))

    @pytest.mark.parametrize("member", range(10))
    def test_scale_halves_the_brightness_again_and_again(self, member: int, images: Tensor) -> None:
        for halvings, copy in enumerate(applied("scale", member, images)):
            same(copy, images * 0.5**halvings)

    @pytest.mark.parametrize("side", [16, 32, 224])
    def test_resize_pad_is_the_transform_of_difgsm(self, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[tuple[int, int]] = []

        def record(smallest: int, canvas: int, _generator: object) -> tuple[int, int, int, int]:
            seen.append((smallest, canvas))
            return smallest, canvas, 0, 0

        monkeypatch.setattr(_operations, "draw_geometry", record)
        images = torch.zeros(1, 3, side, side)
        for member in range(10):
            applied("resize_pad", member, images)
        rates = [Fraction(110 + 5 * member, 100) for member in range(10)]
        assert seen == [(side, math.floor(side * rate)) for rate in rates]

    def test_resize_pad_leaves_images_alone_that_are_too_small_for_a_larger_canvas(self) -> None:
        images, _ = random_batch(8)
        assert torch.equal(applied("resize_pad", 0, images)[0], images)
        assert not torch.equal(applied("resize_pad", 9, images)[0], images)

    @pytest.mark.parametrize("member", range(10))
    def test_block_shuffle_moves_pixels_in_up_to_12_strips(self, member: int, images: Tensor) -> None:
        copies = applied("block_shuffle", member, images)
        for copy in copies:
            assert torch.equal(copy.flatten(2).sort().values, images.flatten(2).sort().values)
        assert len({tuple(copy[0, 0].flatten().tolist()) for copy in copies}) == 10

    def test_block_shuffle_cuts_from_3_to_12_blocks_along_each_side(
        self, images: Tensor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[tuple[int, float]] = []

        def record(images: Tensor, count: int, shortest: float, _generator: object) -> Tensor:
            seen.append((count, shortest))
            return images

        monkeypatch.setattr(_operations, "shuffle_blocks", record)
        for member in range(10):
            applied("block_shuffle", member, images)
        assert seen == [(count, 0.0) for count in range(3, 13) for _ in range(10)]

    @pytest.mark.parametrize("member", range(10))
    def test_admix_adds_a_share_of_other_images(self, member: int, images: Tensor) -> None:
        others, strength = member % 5 + 1, (0.2, 0.4)[member // 5]
        copies = applied("admix", member, images)
        for group in range(3):
            for copy in copies[group * others : (group + 1) * others]:
                added = (copy * 2**group - images) / strength
                distances = torch.cdist(added.flatten(1), images.flatten(1))
                assert distances.min(dim=1).values.max() < 1e-9
                assert sorted(distances.argmin(dim=1).tolist()) == list(range(4))

    def test_admix_halves_the_sums_of_the_same_images(self, images: Tensor) -> None:
        copies = applied("admix", 4, images)
        for group in (1, 2):
            for whole, part in zip(copies[:5], copies[5 * group : 5 * group + 5], strict=True):
                same(part, whole / 2**group)

    def test_admix_lets_no_gradient_through_the_added_images(self, images: Tensor) -> None:
        source = images.requires_grad_()
        for number, copy in enumerate(applied("admix", 6, source)):
            (gradient,) = torch.autograd.grad(copy[0].sum(), source)
            assert torch.equal(gradient[0], torch.full_like(gradient[0], 0.5 ** (number // 2)))
            assert not gradient[1:].any()

    def test_the_sets_of_dropout_probabilities(self) -> None:
        table = ["1", "12", "123", "1234", "12345", "2345", "1345", "1245", "1235", "1234"]
        assert [[int(tenth) / 10 for tenth in row] for row in table] == DROPOUTS

    @pytest.mark.parametrize("member", range(10))
    def test_dropout_sets_values_to_zero_and_leaves_the_others(self, member: int) -> None:
        images = random_batch(32, count=8)[0].clamp(min=0.01)
        for probability, copy in zip(DROPOUTS[member], applied("dropout", member, images), strict=True):
            dropped = copy == 0
            assert torch.equal(copy[~dropped], images[~dropped])
            sigma = (probability * (1 - probability) / dropped.numel()) ** 0.5
            assert abs(dropped.double().mean() - probability) < 4 * sigma

    @pytest.mark.parametrize("side", [16, 32])
    @pytest.mark.parametrize("member", range(10))
    def test_block_mask_blackens_one_block_of_a_grid(self, member: int, side: int) -> None:
        count, images = member + 2, torch.ones(2, 3, side, side)
        edges = [round(side * i / count) for i in range(count + 1)]
        blocks = Counter[tuple[int, int]]()
        for seed in range(20):
            for copy in applied("block_mask", member, images, seed):
                black = (copy == 0).nonzero()
                low, high = black.min(dim=0).values.tolist(), (black.max(dim=0).values + 1).tolist()
                assert len(black) == math.prod(end - start for start, end in zip(low, high, strict=True))
                assert (low[:2], high[:2]) == ([0, 0], [2, 3])
                row, column = edges.index(low[2]), edges.index(low[3])
                assert high[2:] == [edges[row + 1], edges[column + 1]]
                blocks[row, column] += 1
        assert len(blocks) > 0.5 * min(100, count**2)

    @pytest.mark.parametrize("member", [0, 4, 8])
    def test_spectrum_scales_the_coefficients_of_the_noisy_image(self, member: int, images: Tensor) -> None:
        noise, rho, generator = 8 / 255, (member + 1) / 10, seeded()
        for copy in applied("spectrum", member, images, noise=noise):
            noisy = images + torch.empty_like(images).normal_(0, noise, generator=generator)
            factors = torch.empty_like(images).uniform_(0, 1, generator=generator) * 2 * rho + 1 - rho
            coefficients = fft.dctn(noisy.numpy(), axes=(2, 3), norm="ortho") * factors.numpy()
            close(copy, torch.from_numpy(fft.idctn(coefficients, axes=(2, 3), norm="ortho")))

    def test_spectrum_without_noise_and_factors_changes_nothing(self, images: Tensor) -> None:
        for copy in _operations.spectrum(0.0, 0.0, 5, images.float(), seeded()):
            torch.testing.assert_close(copy, images.float(), atol=1e-5, rtol=0)

    @pytest.mark.parametrize("shape", [(16, 16), (32, 32), (224, 224), (5, 12)])
    def test_the_cosine_transform_is_scipys_and_has_an_inverse(self, shape: tuple[int, int]) -> None:
        image = torch.rand(2, 3, *shape, generator=seeded(), dtype=torch.float64)
        close(dct(image), torch.from_numpy(fft.dctn(image.numpy(), axes=(2, 3), norm="ortho")))
        close(inverse_dct(dct(image)), image)
        single = image.float()
        torch.testing.assert_close(inverse_dct(dct(single)), single, atol=1e-5, rtol=0)

    @pytest.mark.parametrize("side", [16, 32])
    @pytest.mark.parametrize("member", range(9))
    def test_crop_takes_the_centre_and_resizes_it(self, member: int, side: int) -> None:
        images = random_batch(side, count=1)[0].float()
        ratio = Fraction(member + 1, 10)
        for i, copy in enumerate(applied("crop", member, images)):
            box = math.floor(side * (ratio + (1 - ratio) * Fraction(i + 1, 5)))
            corner = (side - box) // 2
            plane = Image.fromarray(images[0, 1].numpy()).crop((corner, corner, corner + box, corner + box))
            expected = torch.tensor(np.array(plane.resize((side, side), Image.Resampling.BILINEAR)))
            torch.testing.assert_close(copy[0, 1], expected, atol=1e-4, rtol=0)

    @pytest.mark.parametrize("member", range(9))
    def test_the_last_crop_is_the_whole_image(self, member: int) -> None:
        images = torch.rand(1, 3, 224, 224, generator=seeded())
        same(applied("crop", member, images)[-1], images)

    @pytest.mark.parametrize("member", range(9))
    def test_translate_moves_by_one_pixel_or_not_at_all(self, member: int, images: Tensor) -> None:
        moved = torch.zeros_like(images)
        moved[:, :, 1:, 1:] = images[:, :, :-1, :-1]
        for i, copy in enumerate(applied("translate", member, images)):
            shift = Fraction(50 + 5 * member, 100) * Fraction(i + 1, 5)
            # At exactly half a pixel either neighbour is the nearest.
            if shift != Fraction(1, 2):
                assert torch.equal(copy, moved if shift > Fraction(1, 2) else images)


def drawn_paths(attacker: L2T, generator: torch.Generator, policy: Tensor | None = None) -> list[list[int]]:
    policy = torch.zeros(len(pool(attacker.families, 0.0, 10)), dtype=torch.float64) if policy is None else policy
    result: list[list[int]] = attacker.draw(policy, generator).tolist()
    return result


class TestPolicy:
    def test_operations_are_drawn_independently_and_uniformly(self) -> None:
        paths = torch.tensor(drawn_paths(attack("l2t", paths=50_000), seeded()))
        assert paths.shape == (50_000, 2)
        for counts in paths.T:
            observed = torch.bincount(counts, minlength=98).double()
            expected = 50_000 / 98
            # Chi-squared with 97 degrees of freedom has a standard deviation of sqrt(2 * 97).
            assert abs(((observed - expected) ** 2 / expected).sum() - 97) < 4 * (2 * 97) ** 0.5
        repeated = (paths[:, 0] == paths[:, 1]).double().mean()
        assert abs(repeated - 1 / 98) < 4 * (1 / 98 / 50_000) ** 0.5

    def test_operations_are_drawn_by_their_softmax(self) -> None:
        policy = torch.zeros(98, dtype=torch.float64)
        policy[7], policy[30] = 100 + math.log(3), 100
        paths = torch.tensor(drawn_paths(attack("l2t", paths=5000), seeded(), policy))
        assert set(paths.flatten().tolist()) == {7, 30}
        assert abs((paths == 7).double().mean() - 0.75) < 4 * (0.75 * 0.25 / 10_000) ** 0.5

    def test_an_update_ascends_the_mean_of_probability_times_loss(self) -> None:
        policy = torch.randn(6, generator=seeded(), dtype=torch.float64)
        paths, losses = [[0, 3], [2, 2], [5, 0]], [0.7, 2.0, 3.1]
        weights = [math.exp(logit) for logit in policy.tolist()]
        p = [weight / math.fsum(weights) for weight in weights]
        expected = []
        for i in range(6):
            # d(p_a p_b) / d theta_i = p_a p_b ((a == i) + (b == i) - 2 p_i)
            terms = [
                p[a] * p[b] * ((a == i) + (b == i) - 2 * p[i]) * loss
                for (a, b), loss in zip(paths, losses, strict=True)
            ]
            expected.append(float(policy[i]) + 0.5 * sum(terms) / 3)
        result = updated(policy, torch.tensor(paths), torch.tensor(losses, dtype=torch.float64), 0.5)
        close(result, torch.tensor(expected, dtype=torch.float64))
        assert result.softmax(dim=0).sum() == pytest.approx(1)

    def test_the_policy_learns_from_the_losses_of_its_paths(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[Tensor] = []
        draw = L2T.draw

        def record(self: L2T, policy: Tensor, generator: torch.Generator) -> Tensor:
            seen.append(policy)
            return draw(self, policy, generator)

        monkeypatch.setattr(L2T, "draw", record)
        network, (images, labels) = curved(), random_batch()
        attacker = attack("l2t", families=["identity", "scale"], policy_learning_rate=3.0)
        rule = directions(attacker, network, images, labels)
        for _ in range(3):
            rule(images)
        generator, policy = seeded(), torch.zeros(11, dtype=torch.float64)
        operations = pool(["identity", "scale"], 0.0, 10)
        assert len(seen) == 3
        for used in seen.copy():
            torch.testing.assert_close(used, policy, atol=1e-12, rtol=0)
            paths = draw(attacker, policy, generator)
            losses = []
            for path in paths.tolist():
                copies = torch.cat(list(chained([operations[i] for i in path], images, generator)))
                losses.append(functional.cross_entropy(network(copies), labels.repeat(len(copies) // 3)).detach())
            policy = updated(policy, paths, torch.stack(losses), 3.0)
        assert policy.abs().max() > 1e-3

    def test_its_learning_rate_does_not_change_what_is_drawn_in_20_iterations(self) -> None:
        network, batch = curved(), random_batch(count=1)
        learnt, fixed = (craft("l2t", network, *batch, steps=20, policy_learning_rate=rate) for rate in (0.01, 0.0))
        assert torch.equal(learnt, fixed)


class TestL2T:
    def test_the_identity_alone_is_mifgsm(self) -> None:
        network, batch = curved(), random_batch()
        same(craft("l2t", network, *batch, families=["identity"], steps=20), craft("mifgsm", network, *batch, steps=20))

    @pytest.mark.parametrize("seed", range(4))
    def test_its_gradient_is_that_of_the_mean_over_paths_of_the_mean_over_copies(self, seed: int) -> None:
        network, (images, labels) = curved(), random_batch()
        attacker, generator = attack("l2t"), seeded(seed)
        operations = pool(attacker.families, float(EPS), 10)
        source, total = images.clone().requires_grad_(), torch.zeros(())
        for path in drawn_paths(attacker, generator):
            copies = list(chained([operations[index] for index in path], source, generator))
            assert len(copies) == math.prod(operations[index].copies for index in path)
            losses = functional.cross_entropy(network(torch.cat(copies)), labels.repeat(len(copies)), reduction="none")
            total = total + losses.view(len(copies), -1).mean(dim=0).sum() / attacker.paths
        (expected,) = torch.autograd.grad(total, source)
        close(directions(attacker, network, images, labels, seed)(images), expected)

    def test_spectrum_adds_noise_of_the_size_of_the_budget(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[Any] = []

        def record(_rho: float, noise: float, copies: int, images: Tensor, _generator: object) -> Iterator[Tensor]:
            seen.append((noise, copies))
            yield images

        monkeypatch.setattr(_operations, "spectrum", record)
        network, batch = curved(), random_batch()
        craft("l2t", network, *batch, families=["spectrum"], spectrum_copies=5)
        assert set(seen) == {(float(EPS), 5)}

    def test_one_operation_makes_one_step_of_a_chain(self) -> None:
        passes: list[int] = []
        network, (images, labels) = curved(), random_batch()
        network.register_forward_pre_hook(lambda _module, inputs: passes.append(len(inputs[0])))
        attacker = attack("l2t", families=["block_mask"], operations=1, paths=2)
        directions(attacker, network, images, labels)(images)
        assert sum(passes) == 2 * 5 * 3
