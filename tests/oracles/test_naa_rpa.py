"""NAA and RPA against their formulas, written out one image, one copy and one patch at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.crafting import (
    EPS,
    ascended,
    attack,
    close,
    craft,
    curved,
    directions,
    halves,
    hooked_gradient,
    layer_output,
    random_batch,
    same,
    seeded,
)
from tests.support.trainings import vgg_s
from trigger_activation.science.freezing import frozen
from trigger_activation.science.images import to_float

pytestmark = pytest.mark.usefixtures("fixed_weights")


def body_gradient(network: Any, image: Tensor, label: int, score: str) -> Tensor:
    """Of the true class's logit or probability at one image (1, 3, H, W), with respect to the body's output."""
    features = network.body(image).detach().requires_grad_()
    logits = network.head(features)[0]
    true = logits[label] if score == "logit" else logits[label].exp() / sum(logit.exp() for logit in logits)
    (gradient,) = torch.autograd.grad(true, features)
    return gradient


def weights(network: Any, copies: list[Tensor], label: int, score: str) -> Tensor:
    """The sum over copies of one image, scaled to norm 1."""
    total = sum((body_gradient(network, copy, label, score) for copy in copies), torch.zeros(()))
    return total / math.sqrt(float((total**2).sum()))


def descent(network: Any, weights: Tensor) -> Callable[[Tensor], Tensor]:
    """Minus the gradient of sum(W * features)."""

    def direction(image: Tensor) -> Tensor:
        image = image.detach().requires_grad_()
        (gradient,) = torch.autograd.grad((weights * network.body(image)).sum(), image)
        return -gradient

    return direction


def path(image: Tensor, points: int, end: str) -> list[Tensor]:
    """Points between the black image and the image: without black, or without the image."""
    shares = [1 - k / points if end == "image" else k / points for k in range(points)]
    black = torch.zeros_like(image)
    return [black + share * (image - black) for share in shares]


def rule(name: str, network: nn.Module, images: Tensor, labels: Tensor, **changes: object) -> Tensor:
    """The first direction that an attack on the layer ``body`` ascends."""
    attacker = attack(name, **{"layer": "body", **changes})
    with frozen(network, intact=attacker.observed(network)):
        return directions(attacker, network, images, labels)(images)


def linear_head(side: int = 8) -> nn.Sequential:
    """A body that is not linear and a head that is."""
    body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh())
    return halves(nn.Sequential(nn.Flatten(), nn.Linear(4 * side**2, 5)), body)


def assert_follows_the_row_of_the_head(direction: Tensor, network: Any, images: Tensor, labels: Tensor) -> None:
    for i, label in enumerate(labels.tolist()):
        row = network.head[1].weight[label].detach().view(1, 4, 8, 8)
        close(direction[i : i + 1], descent(network, row / row.norm())(images[i : i + 1]))


class TestNAA:
    @pytest.mark.parametrize("end", ["image", "black"])
    @pytest.mark.parametrize("score", ["probability", "logit"])
    @pytest.mark.parametrize("points", [1, 2, 7])
    def test_is_its_formula(self, points: int, score: str, end: str) -> None:
        network, (images, labels) = curved(), random_batch()
        expected = []
        for image, label in zip(images[:, None], labels.tolist(), strict=True):
            expected.append(ascended(image, descent(network, weights(network, path(image, points, end), label, score))))
        changes = {"layer": "body", "path_points": points, "score": score, "path_end": end}
        same(craft("naa", network, images, labels, **changes), torch.cat(expected))

    @pytest.mark.parametrize("points", [1, 7, 30])
    def test_a_linear_head_weighs_the_features_by_its_row(self, points: int) -> None:
        network, (images, labels) = linear_head(), random_batch()
        direction = rule("naa", network, images, labels, path_points=points, score="logit")
        assert_follows_the_row_of_the_head(direction, network, images, labels)

    def test_one_point_is_the_gradient_at_the_image(self) -> None:
        network, (images, labels) = halves(curved()), random_batch()
        source = images.clone().requires_grad_()
        true = network(source).softmax(dim=1).gather(1, labels[:, None]).sum()
        (gradient,) = torch.autograd.grad(true, source)
        scale = gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        close(rule("naa", network, images, labels, path_points=1), -gradient / scale)

    def test_a_constant_weight_on_the_pixels_darkens_all_of_them(self) -> None:
        network, (images, labels) = halves(nn.Sequential(nn.Flatten(), nn.Linear(192, 5))), random_batch()
        nn.init.constant_(network.head[1].weight, 0.3)
        expected = (images - float(EPS)).clamp(min=0)
        same(craft("naa", network, images, labels, layer="body", score="logit"), expected)

    def test_lowers_the_weighted_features_of_nearly_all_images(
        self, trained_network: nn.Module, fashion16_test: tuple[Tensor, Tensor]
    ) -> None:
        images, labels = to_float(fashion16_test[0][:100]), fashion16_test[1][:100]
        layer = vgg_s().feature_layer(2)
        weights = sum(
            hooked_gradient(trained_network, layer, copy, labels, "probability") for copy in path(images, 30, "image")
        )
        adversarial = craft("naa", trained_network, images, labels, layer=layer, steps=20)
        before, after = (
            (weights * layer_output(trained_network, layer, x)).sum((1, 2, 3)) for x in (images, adversarial)
        )
        assert (after <= before).float().mean() > 0.95

    @pytest.mark.parametrize("layer", ["features.6", "features.13"])
    def test_gradients_of_features_are_those_that_hooks_see(
        self, layer: str, trained_network: nn.Module, fashion16_test: tuple[Tensor, Tensor]
    ) -> None:
        network, images, labels = trained_network.double(), to_float(fashion16_test[0][:8]).double(), fashion16_test[1]
        weights = sum(
            hooked_gradient(network, layer, copy, labels[:8], "probability") for copy in path(images, 5, "image")
        )
        weights = weights / weights.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        source = images.clone().requires_grad_()
        (expected,) = torch.autograd.grad(-(weights * layer_output(network, layer, source)).sum(), source)
        close(rule("naa", network, images, labels[:8], layer=layer, path_points=5), expected)

    def test_one_batch_of_eight_is_eight_batches_of_one(
        self, trained_network: nn.Module, fashion16_test: tuple[Tensor, Tensor]
    ) -> None:
        # In double precision, because the order of sums within a convolution depends on the batch size.
        network, images, labels = trained_network.double(), to_float(fashion16_test[0][:8]).double(), fashion16_test[1]
        changes = {"layer": "features.13", "path_points": 5}
        alone = [craft("naa", network, images[i : i + 1], labels[i : i + 1], **changes) for i in range(8)]
        same(craft("naa", network, images, labels[:8], **changes), torch.cat(alone))

    def test_without_noise_every_seed_gives_the_same_images(self) -> None:
        network, batch = curved(), random_batch()
        assert torch.equal(*(craft("naa", network, *batch, seed=seed, layer="body") for seed in (0, 1)))

    def test_noise_is_normal_and_drawn_anew_at_each_point(self) -> None:
        images = torch.full((4, 3, 32, 32), 0.5)
        copies = list(attack("naa", path_points=5, noise=0.1).altered(images, seeded()))
        noise = torch.stack([copy - 0.5 * (1 - k / 5) for k, copy in enumerate(copies)])
        sigma = noise.numel() ** -0.5
        assert abs(noise.mean()) < 4 * 0.1 * sigma
        assert abs(noise.std() - 0.1) < 4 * 0.1 * sigma / 2**0.5
        assert (torch.corrcoef(noise.flatten(1)) - torch.eye(5)).abs().max() < 4 * noise[0].numel() ** -0.5

    def test_the_path_carries_the_weight_where_the_prediction_is_saturated(self) -> None:
        network, (images, labels) = halves(nn.Sequential(nn.Flatten(), nn.Linear(192, 5))), random_batch(count=1)
        nn.init.zeros_(network.head[1].weight)
        nn.init.zeros_(network.head[1].bias)
        nn.init.constant_(network.head[1].weight[0], 0.5)
        network, images = network.float(), images.float()
        assert network(images).softmax(dim=1)[0, 0] == 1
        assert torch.equal(craft("naa", network, images, labels, layer="body", path_points=1), images)
        same(craft("naa", network, images, labels, layer="body"), (images - float(EPS)).clamp(min=0))


def damaged_patches(mask: Tensor, size: int) -> list[tuple[int, int, int]]:
    """Channel, row and column of each damaged patch, after checking that the mask (B, 3, H, W) has nothing else."""
    height, width = mask.shape[2:]
    found = []
    for channel, row, column in product(range(3), range(height // size), range(width // size)):
        top, left = row * size, column * size
        patch = mask[:, channel, top : top + size, left : left + size]
        damaged = patch < 1
        assert damaged.all() or not damaged.any()
        if damaged.any():
            found.append((channel, row, column))
    assert (mask[:, :, height // size * size :] == 1).all()
    assert (mask[..., width // size * size :] == 1).all()
    return found


class TestRPAMasks:
    def mask(self, side: int, size: int, count: int = 4, seed: int = 0, **changes: object) -> Tensor:
        images = torch.ones(count, 3, side, side)
        attacker = attack("rpa", copies=1, patch_sizes=[size], **changes)
        (mask,) = attacker.altered(images, seeded(seed))
        return mask

    @pytest.mark.parametrize(("side", "size"), [*product([16, 32, 224], [3, 5, 7])])
    def test_thirty_percent_of_the_whole_patches_are_damaged_in_all_images_alike(self, side: int, size: int) -> None:
        patches = damaged_patches(self.mask(side, size, count=2), size)
        assert len(patches) == 3 * (side // size) ** 2 * 3 // 10

    @pytest.mark.parametrize(("keep", "damaged"), [(0.0, 300), (0.1, 270), (0.4, 180), (0.7, 90), (0.9, 30), (1.0, 0)])
    def test_the_number_of_damaged_patches_is_exact(self, keep: float, damaged: int) -> None:
        assert len(damaged_patches(self.mask(32, 3, keep=keep), 3)) == damaged

    @pytest.mark.parametrize(("side", "covered"), [(32, (30, 30, 28)), (224, (222, 220, 224))])
    def test_what_is_beyond_the_last_whole_patch_is_never_damaged(self, side: int, covered: tuple[int, ...]) -> None:
        for size, end in zip((3, 5, 7), covered, strict=True):
            damaged = (self.mask(side, size, count=1, keep=0.0) < 1)[0]
            assert damaged[:, :end, :end].all()
            assert damaged.sum() == 3 * end**2

    def test_patches_of_one_pixel_are_drawn_for_each_image_and_channel(self) -> None:
        damaged = (self.mask(32, 1, count=20) < 1).double()
        sigma = (0.3 * 0.7 / damaged.numel()) ** 0.5
        assert abs(damaged.mean() - 0.3) < 4 * sigma
        planes = torch.corrcoef(damaged.view(60, -1)) - torch.eye(60)
        assert planes.abs().max() < 5 * 1024**-0.5

    @pytest.mark.parametrize("size", [1, 3, 5, 7])
    def test_factors_are_uniform_for_each_pixel_and_image(self, size: int) -> None:
        mask = self.mask(32, size, count=50)
        factors = mask[mask < 1].double()
        sigma = factors.numel() ** -0.5
        assert factors.min() >= 0
        assert abs(factors.mean() - 0.5) < 4 * sigma * 12**-0.5
        assert abs(factors.square().mean() - 1 / 3) < 4 * sigma * (4 / 45) ** 0.5
        assert factors.unique().numel() > 0.99 * factors.numel()

    @pytest.mark.parametrize(("size", "keep"), [*product([1, 3, 5, 7], [0.0, 0.5, 0.7])])
    def test_the_mean_of_a_mask(self, size: int, keep: float) -> None:
        mask = self.mask(32, size, count=100, keep=keep).double()
        coverage = (32 // size * size / 32) ** 2
        patches = 3 * (32 // size) ** 2
        # At most one patch is missing, because whole patches are damaged.
        rounding = 0 if size == 1 else 0.5 * coverage / patches
        sigma = mask.std() * mask.numel() ** -0.5
        excess = mask.mean() - (1 - 0.5 * (1 - keep) * coverage)
        assert -4 * sigma < excess < 4 * sigma + rounding

    def test_every_patch_is_as_likely_as_any_other(self) -> None:
        images = torch.ones(1, 3, 16, 16)
        copies = attack("rpa", copies=400, patch_sizes=[5]).altered(images, seeded())
        damaged = sum((copy[0, :, ::5, ::5][:, :3, :3] < 1).double() for copy in copies) / 400
        assert (damaged - 8 / 27).abs().max() < 4.5 * (8 / 27 * 19 / 27 / 400) ** 0.5

    def test_the_sizes_take_turns(self) -> None:
        images = torch.ones(1, 3, 32, 32)
        copies = attack("rpa", copies=9, keep=0.0).altered(images, seeded())
        ends = [int((copy[0, 0, 0] < 1).sum()) for copy in copies]
        assert ends == [32, 30, 30, 28, 32, 30, 30, 28, 32]
        sizes = [3, 5, 3, 5]
        copies = attack("rpa", copies=4, patch_sizes=[3, 5]).altered(images, seeded())
        assert [len(damaged_patches(copy, size)) for copy, size in zip(copies, sizes, strict=True)] == [90, 32, 90, 32]

    def test_a_mask_multiplies_the_image(self) -> None:
        images, _ = random_batch()
        attacker = attack("rpa", copies=4)
        masks = attacker.altered(torch.ones_like(images), seeded())
        for copy, mask in zip(attacker.altered(images, seeded()), masks, strict=True):
            close(copy, images * mask)

    def test_a_patch_larger_than_the_image_damages_nothing(self) -> None:
        assert (self.mask(4, 7) == 1).all()


class TestRPA:
    @pytest.mark.parametrize("score", ["probability", "logit"])
    def test_is_its_formula(self, score: str) -> None:
        network, (images, labels) = curved(), random_batch()
        copies = list(attack("rpa", copies=6).altered(images, seeded(3)))
        expected = []
        for i, label in enumerate(labels.tolist()):
            of_image = weights(network, [copy[i : i + 1] for copy in copies], label, score)
            expected.append(ascended(images[i : i + 1], descent(network, of_image)))
        changes = {"layer": "body", "copies": 6, "score": score}
        same(craft("rpa", network, images, labels, seed=3, **changes), torch.cat(expected))

    @pytest.mark.parametrize("copies", [1, 5])
    def test_without_damage_the_weights_are_the_gradient_at_the_image(self, copies: int) -> None:
        network, (images, labels) = curved(), random_batch()
        direction = rule("rpa", network, images, labels, copies=copies, keep=1.0)
        for i, label in enumerate(labels.tolist()):
            image = images[i : i + 1]
            close(direction[i : i + 1], descent(network, weights(network, [image], label, "logit"))(image))

    @pytest.mark.parametrize(("copies", "keep"), [*product([1, 3, 60], [0.0, 0.7])])
    def test_a_linear_head_weighs_the_features_by_its_row(self, copies: int, keep: float) -> None:
        network, (images, labels) = linear_head(), random_batch()
        direction = rule("rpa", network, images, labels, copies=copies, keep=keep)
        assert_follows_the_row_of_the_head(direction, network, images, labels)

    def test_other_seeds_give_other_images(self) -> None:
        network, batch = curved(), random_batch()
        assert not torch.equal(*(craft("rpa", network, *batch, seed=seed, layer="body") for seed in (0, 1)))


@pytest.mark.parametrize("name", ["naa", "rpa"])
class TestZeroGradients:
    def test_change_nothing(self, name: str) -> None:
        network, (images, labels) = linear_head(), random_batch()
        nn.init.zeros_(network.head[1].weight)
        assert torch.equal(craft(name, network, images, labels, layer="body"), images)

    def test_do_not_disturb_other_images(self, name: str) -> None:
        class Square(nn.Module):
            def forward(self, features: Tensor) -> Tensor:
                return features.flatten(1).square()

        network = halves(nn.Sequential(Square(), nn.Linear(192, 5)))
        images, labels = random_batch()
        images[1] = 0
        adversarial = craft(name, network, images, labels, layer="body")
        assert torch.equal(adversarial[1], images[1])
        others = [0, 2]
        alone = craft(name, network, images[others], labels[others], layer="body")
        assert (alone != images[others]).any(dim=(1, 2, 3)).all()
        if name == "naa":
            same(adversarial[others], alone)
