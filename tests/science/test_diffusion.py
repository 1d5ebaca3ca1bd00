"""SDEdit, Diff-PGD and the small diffusion model against the formulas of their papers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Generator, Tensor, nn

from trigger_activation.errors import UserError
from trigger_activation.science.attacks import diffpgd
from trigger_activation.science.attacks.diffpgd import DiffPGD
from trigger_activation.science.attacks.pgd import PGD
from trigger_activation.science.helpers import diffusion
from trigger_activation.science.helpers.ddpm import DDPM
from trigger_activation.science.helpers.diffusion import sdedit
from trigger_activation.science.images import to_float

EPS, ALPHA = Fraction(8, 255), Fraction(2, 255)
SIGNAL = torch.cumprod(1 - torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64), 0)
"""abar at each of the 1,000 steps."""


class Predictor(nn.Module):
    """Any function of noisy images and step as a network of diffusers; it remembers the steps it was asked for."""

    def __init__(self, function: Callable[[Tensor, int], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.steps: list[int] = []

    def forward(self, noisy: Tensor, step: Tensor) -> SimpleNamespace:
        self.steps.append(int(step))
        prediction = self.function(noisy, int(step))
        learned_variance = torch.full_like(prediction, torch.nan)
        return SimpleNamespace(sample=torch.cat([prediction, learned_variance], dim=1))


def knowing(images: Tensor) -> Predictor:
    """The perfect predictor where the data are one set of images in [0, 1]."""

    def noise(noisy: Tensor, step: int) -> Tensor:
        signal = SIGNAL[step].float()
        return (noisy - signal.sqrt() * (2 * images - 1)) / (1 - signal).sqrt()

    return Predictor(noise)


def wavy(noisy: Tensor, step: int) -> Tensor:
    """A prediction that is wrong, but the same each time."""
    return torch.sin(3 * noisy + step)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.fixture
def batch(fashion16_test: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Images whose budget never meets the ends of the pixel range, and their labels."""
    images, labels = fashion16_test
    return 0.1 + 0.8 * to_float(images[:16]), labels[:16]


def attack(helper: nn.Module, **changes: Any) -> DiffPGD:
    return DiffPGD(eps=EPS, steps=5, step_size=ALPHA, **changes).with_helper(helper)


def one_step(helper: nn.Module, **changes: Any) -> DiffPGD:
    return DiffPGD(eps=EPS, steps=1, step_size=ALPHA, **changes).with_helper(helper)


def ddim_by_hand(images: Tensor, noise: Tensor, spacing: int, last: int) -> Tensor:
    """Song et al. 2021, Eq. 12 with eta 0, from step ``last`` down, every prediction of the image clipped."""
    current = SIGNAL[last].sqrt() * (2 * images.double() - 1) + (1 - SIGNAL[last]).sqrt() * noise.double()
    for step in range(last, -1, -spacing):
        signal = SIGNAL[step]
        before = SIGNAL[step - spacing] if step >= spacing else torch.ones(())
        clean = ((current - (1 - signal).sqrt() * wavy(current, step)) / signal.sqrt()).clamp(-1, 1)
        remaining = (current - signal.sqrt() * clean) / (1 - signal).sqrt()
        current = before.sqrt() * clean + (1 - before).sqrt() * remaining
    return (current + 1) / 2


class TestSDEdit:
    @pytest.mark.parametrize(("respacing", "reverse_steps"), [(50, 3), (50, 0), (100, 7), (1000, 4), (50, 10)])
    def test_is_ddim_written_out(self, respacing: int, reverse_steps: int, batch: tuple[Tensor, Tensor]) -> None:
        noise = torch.randn(batch[0].shape, generator=seeded())
        spacing = 1000 // respacing
        expected = ddim_by_hand(batch[0], noise, spacing, reverse_steps * spacing)
        result = sdedit(Predictor(wavy), batch[0], noise, respacing, reverse_steps)
        torch.testing.assert_close(result.double(), expected, atol=2e-5, rtol=0)

    def test_asks_for_every_twentieth_step_down_to_zero(self, batch: tuple[Tensor, Tensor]) -> None:
        predictor = Predictor(wavy)
        sdedit(predictor, batch[0], torch.zeros_like(batch[0]), 50, 3)
        assert predictor.steps == [60, 40, 20, 0]

    def test_step_60_keeps_almost_all_of_the_signal(self) -> None:
        assert float(SIGNAL[60]) == pytest.approx(0.958, abs=1e-3)

    def test_a_perfect_prediction_gives_back_the_data(self, batch: tuple[Tensor, Tensor]) -> None:
        noise = torch.randn(batch[0].shape, generator=seeded())
        moved = (batch[0] + 0.05).clamp(0, 1)
        torch.testing.assert_close(sdedit(knowing(batch[0]), moved, noise, 50, 3), batch[0], atol=1e-4, rtol=0)

    def test_without_reverse_steps_the_image_hardly_changes(self, batch: tuple[Tensor, Tensor]) -> None:
        noise = torch.randn(batch[0].shape, generator=seeded())
        nothing = Predictor(lambda noisy, _: torch.zeros_like(noisy))
        change = sdedit(nothing, batch[0], noise, 50, 0) - batch[0]
        assert 0 < change.square().mean().sqrt() < 1e-2

    def test_stays_in_the_pixel_range(self, batch: tuple[Tensor, Tensor]) -> None:
        noise = 3 * torch.randn(batch[0].shape, generator=seeded())
        result = sdedit(Predictor(wavy), batch[0], noise, 50, 3)
        assert result.min() >= -1e-6
        assert result.max() <= 1 + 1e-6


def without_denoising(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Make R_K the identity; returns what it gets to see."""
    seen: list[Tensor] = []

    def identity(_: nn.Module, images: Tensor, *__: object) -> Tensor:
        seen.append(images.detach().clone())
        return images

    monkeypatch.setattr(diffpgd, "sdedit", identity)
    return seen


class TestDiffPGD:
    @pytest.mark.parametrize("derivative", ["accelerated", "full"])
    def test_without_denoising_it_is_pgd_without_random_start(
        self,
        derivative: str,
        trained_network: nn.Module,
        batch: tuple[Tensor, Tensor],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        without_denoising(monkeypatch)
        ours = attack(nn.Identity(), derivative=derivative).perturb(trained_network, *batch, seeded())
        pgd = PGD(eps=EPS, steps=5, step_size=ALPHA, random_start=False).perturb(trained_network, *batch, seeded())
        torch.testing.assert_close(ours, pgd, atol=1e-6, rtol=0)
        assert (ours - batch[0]).abs().max() > 0.01

    def test_the_full_derivative_goes_through_the_denoising(
        self, trained_network: nn.Module, batch: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(diffpgd, "sdedit", lambda _, images, *__: 1 - images)
        moves = {
            derivative: one_step(nn.Identity(), derivative=derivative).perturb(trained_network, *batch, seeded())
            for derivative in ("accelerated", "full")
        }
        # Turning an image into its negative turns the sign of the derivative, which only the full one knows.
        torch.testing.assert_close(moves["accelerated"] - batch[0], batch[0] - moves["full"], atol=1e-6, rtol=0)

    @pytest.mark.parametrize("derivative", ["accelerated", "full"])
    def test_keeps_the_budget_where_pixels_are_black_or_white(
        self, derivative: str, trained_network: nn.Module, fashion16_test: tuple[Tensor, Tensor]
    ) -> None:
        images, labels = to_float(fashion16_test[0][:16]), fashion16_test[1][:16]
        adversarial = attack(Predictor(wavy), derivative=derivative).perturb(trained_network, images, labels, seeded())
        assert (adversarial - images).abs().max() <= float(EPS) + 1e-6
        assert adversarial.min() >= 0
        assert adversarial.max() <= 1

    def test_only_the_accelerated_version_leaves_iterates_unclipped(
        self, trained_network: nn.Module, fashion16_test: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        images, labels = to_float(fashion16_test[0][:16]), fashion16_test[1][:16]
        lowest = {}
        for derivative in ("accelerated", "full"):
            seen = without_denoising(monkeypatch)
            attack(nn.Identity(), derivative=derivative).perturb(trained_network, images, labels, seeded())
            lowest[derivative] = float(torch.stack(seen).min())
        assert lowest["accelerated"] == pytest.approx(-float(EPS))
        assert lowest["full"] == 0

    def test_the_gradient_is_taken_at_the_denoised_image(
        self, trained_network: nn.Module, batch: tuple[Tensor, Tensor]
    ) -> None:
        # Denoised, every iterate is the same image, so that all steps go the same way.
        adversarial = attack(knowing(batch[0])).perturb(trained_network, *batch, seeded())
        images = batch[0].clone().requires_grad_()
        loss = nn.functional.cross_entropy(trained_network(images), batch[1], reduction="sum")
        (gradient,) = torch.autograd.grad(loss, images)
        expected = batch[0] + float(EPS) * gradient.sign()
        assert ((adversarial - expected).abs() < 1e-5).float().mean() > 0.98

    def test_every_iteration_draws_new_noise(
        self, trained_network: nn.Module, batch: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drawn: list[Tensor] = []

        def note(_: nn.Module, images: Tensor, noise: Tensor, *__: object) -> Tensor:
            drawn.append(noise.clone())
            return images

        monkeypatch.setattr(diffpgd, "sdedit", note)
        attack(nn.Identity()).perturb(trained_network, *batch, seeded())
        assert len({float(noise.sum()) for noise in drawn}) == len(drawn) == 5
        assert torch.stack(drawn).std() == pytest.approx(1, abs=0.02)

    def test_asks_the_diffusion_model_k_plus_one_times_an_iteration(
        self, trained_network: nn.Module, batch: tuple[Tensor, Tensor]
    ) -> None:
        predictor = Predictor(wavy)
        attack(predictor, reverse_steps=2).perturb(trained_network, *batch, seeded())
        assert predictor.steps == [40, 20, 0] * 5

    def test_the_denoised_output_is_the_denoised_adversarial_image_and_keeps_no_budget(
        self, trained_network: nn.Module, batch: tuple[Tensor, Tensor]
    ) -> None:
        black = torch.zeros_like(batch[0])
        denoiser = attack(knowing(black), output="denoised")
        result = denoiser.perturb(trained_network, *batch, seeded())
        torch.testing.assert_close(result, black, atol=1e-4, rtol=0)
        assert not denoiser.keeps_budget
        assert attack(nn.Identity()).keeps_budget

    def test_a_random_start_is_an_option(
        self, trained_network: nn.Module, batch: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = without_denoising(monkeypatch)
        attack(nn.Identity(), random_start=True).perturb(trained_network, *batch, seeded())
        assert 0.9 * float(EPS) < (seen[0] - batch[0]).abs().max() <= float(EPS) + 1e-6
        seen = without_denoising(monkeypatch)
        attack(nn.Identity()).perturb(trained_network, *batch, seeded())
        assert torch.equal(seen[0], batch[0])

    def test_says_so_when_it_has_no_diffusion_model(
        self, trained_network: nn.Module, batch: tuple[Tensor, Tensor]
    ) -> None:
        with pytest.raises(ValueError, match="diffpgd needs a helper network"):
            DiffPGD(eps=EPS, steps=1, step_size=ALPHA).perturb(trained_network, *batch, seeded())

    @pytest.mark.parametrize(("respacing", "reverse_steps"), [(30, 3), (3, 3), (1, 1)])
    def test_refuses_steps_that_do_not_fit_the_process(self, respacing: int, reverse_steps: int) -> None:
        with pytest.raises(ValidationError, match=r"respacing must divide 1000 and be larger than reverse_steps"):
            DiffPGD(eps=EPS, steps=1, respacing=respacing, reverse_steps=reverse_steps)


SMALL = DDPM(channels=(16,), epochs=4, batch_size=32, learning_rate=2e-3, average=0.98)


def fitted(ddpm: DDPM, images: Tensor, seed: int = 0) -> tuple[nn.Module, list[float]]:
    losses: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = ddpm.build(16)
    ddpm.fit(network, images, seeded(seed), lambda _, loss: losses.append(loss))
    return network.eval(), losses


@pytest.fixture(scope="module")
def trained(fashion16_train: tuple[Tensor, Tensor]) -> tuple[nn.Module, list[float]]:
    return fitted(SMALL, fashion16_train[0][:500])


class TestDDPM:
    def test_learns(self, trained: tuple[nn.Module, list[float]]) -> None:
        _, losses = trained
        assert losses[0] > 2 * losses[-1]
        assert losses[-1] < 0.3  # predicting nothing costs 1

    @torch.no_grad()
    def test_denoised_images_are_closer_to_unseen_ones_than_the_noisy_were(
        self, trained: tuple[nn.Module, list[float]], fashion16_test: tuple[Tensor, Tensor]
    ) -> None:
        images = to_float(fashion16_test[0][:100])
        noise = torch.randn(images.shape, generator=seeded())
        noisy = sdedit(Predictor(lambda z, _: torch.zeros_like(z)), images, noise, 50, 3)
        denoised = sdedit(trained[0], images, noise, 50, 3)
        assert (denoised - images).square().mean() < 0.7 * (noisy - images).square().mean()

    def test_the_same_seed_gives_the_same_weights(self, fashion16_train: tuple[Tensor, Tensor]) -> None:
        once = SMALL.model_copy(update={"epochs": 1, "channels": (8,)})
        first, second, other = (fitted(once, fashion16_train[0][:100], seed)[0].state_dict() for seed in (0, 0, 1))
        assert all(torch.equal(first[key], second[key]) for key in first)
        assert not all(torch.equal(first[key], other[key]) for key in first)

    def test_leaves_the_global_random_state_alone(self, fashion16_train: tuple[Tensor, Tensor]) -> None:
        once = SMALL.model_copy(update={"epochs": 1, "channels": (8,)})
        before = torch.get_rng_state()
        fitted(once, fashion16_train[0][:100])
        assert torch.equal(torch.get_rng_state(), before)

    def test_noises_images_as_the_process_says(
        self, fashion16_train: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: dict[str, Tensor] = {}

        def note(_: nn.Module, noisy: Tensor, steps: Tensor) -> Tensor:
            seen.update(noisy=noisy, steps=steps)
            return torch.zeros_like(noisy)

        monkeypatch.setattr(diffusion, "predicted_noise", note)
        monkeypatch.setattr("trigger_activation.science.helpers.ddpm.predicted_noise", note)
        from trigger_activation.science.helpers.ddpm import denoising_loss

        images = fashion16_train[0][:500]
        loss = denoising_loss(nn.Identity(), images, seeded())
        assert loss == pytest.approx(1, abs=0.02)
        assert 0 <= seen["steps"].min() < 20
        assert 980 < seen["steps"].max() <= 999
        signal = SIGNAL[seen["steps"]].float().view(-1, 1, 1, 1)
        noise = (seen["noisy"] - signal.sqrt() * (2 * to_float(images) - 1)) / (1 - signal).sqrt()
        assert noise.std() == pytest.approx(1, abs=0.01)
        assert noise.mean() == pytest.approx(0, abs=0.01)

    def test_a_training_that_diverges_is_reported(self, fashion16_train: tuple[Tensor, Tensor]) -> None:
        wild = DDPM(channels=(8,), epochs=3, batch_size=10, learning_rate=1e30)
        with pytest.raises(UserError, match=r"diverged to a loss of .*: lower its learning_rate"):
            fitted(wild, fashion16_train[0][:50])

    @pytest.mark.parametrize("channels", [(), (12,), (0,), (-8,)])
    def test_refuses_channels_that_cannot_be_normalised_in_groups(self, channels: tuple[int, ...]) -> None:
        with pytest.raises(ValidationError):
            DDPM(channels=channels, epochs=1)
