"""DiffPure against analytic diffusion models, whose answers are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from tests.support.projects import one_sentence
from trigger_activation.errors import UserError
from trigger_activation.plan.config.loader import validate
from trigger_activation.science.helpers.ddpm import DDPM
from trigger_activation.science.helpers.diffusion import ddpm_chain, noise_at_time, noised, reverse_sde
from trigger_activation.science.images import to_float
from trigger_activation.science.preprocessing.diffpure import DiffPure

BETAS = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
SIGNAL = torch.cumprod(1 - BETAS, 0)
"""abar after each of the 1,000 steps."""
SEEDS = range(1000, 1008)

every_sampler = pytest.mark.parametrize("sampler", ["sde", "ddpm"])


def signal_at(time: float) -> float:
    """abar of the VP-SDE."""
    return math.exp(-0.5 * 19.9 * time**2 - 0.1 * time)


class Model(nn.Module):
    """Any function of noisy images and abar as a network of diffusers; it remembers the steps it was asked for."""

    def __init__(
        self, noise: Callable[[Tensor, float], Tensor], sampler: str = "ddpm", continuous_time: bool = False
    ) -> None:
        super().__init__()
        self.noise, self.sampler, self.continuous_time = noise, sampler, continuous_time
        self.steps: list[Tensor] = []
        self.sides: list[int] = []

    def forward(self, noisy: Tensor, step: int | Tensor) -> SimpleNamespace:
        self.steps.append(torch.as_tensor(step))
        self.sides.append(noisy.shape[-1])
        return SimpleNamespace(sample=self.output(noisy, self.steps[-1]))

    def output(self, noisy: Tensor, step: Tensor) -> Tensor:
        if self.continuous_time:
            return self.noise(noisy, signal_at(float(step) / 999))
        return self.noise(noisy, signal_at(int(step) / 1000) if self.sampler == "sde" else float(SIGNAL[step]))


def nothing(noisy: Tensor, _: float) -> Tensor:
    return torch.zeros_like(noisy)


def wavy(noisy: Tensor, signal: float) -> Tensor:
    """A prediction that is wrong, but the same each time."""
    return torch.sin(3 * noisy + 10 * signal)


def normal(mean: float, std: float) -> Callable[[Tensor, float], Tensor]:
    """The perfect prediction, -sqrt(1 - abar) times the score, where the data are N(mean, std^2)."""

    def noise(noisy: Tensor, signal: float) -> Tensor:
        variance = signal * std**2 + 1 - signal
        return math.sqrt(1 - signal) * (noisy - math.sqrt(signal) * mean) / variance

    return noise


def knowing(images: Tensor) -> Callable[[Tensor, float], Tensor]:
    """The perfect prediction where the data are one set of images in [0, 1]."""
    return lambda noisy, signal: (noisy - math.sqrt(signal) * (2 * images - 1)) / math.sqrt(1 - signal)


class KnowsVariance(Model):
    """The perfect model of N(mean, std^2), its variance after each step given as guided diffusion does."""

    def __init__(self, mean: float, std: float) -> None:
        super().__init__(normal(mean, std))
        self.variances = SIGNAL * std**2 + 1 - SIGNAL

    def output(self, noisy: Tensor, step: Tensor) -> Tensor:
        noise, position = super().output(noisy, step), 1.0
        if step > 0:
            largest = BETAS[step]
            smallest = largest * (1 - SIGNAL[step - 1]) / (1 - SIGNAL[step])
            wanted = largest * self.variances[step - 1] / self.variances[step]
            position = 2 * float((wanted / smallest).log() / (largest / smallest).log()) - 1
        return torch.cat([noise, torch.full_like(noise, position)], dim=1)


def purify(model: nn.Module, images: Tensor, seeds: Any = SEEDS, **parameters: Any) -> Tensor:
    return DiffPure(**{"time": 0.1, **parameters}).with_helper(model).apply(images, seeds)


@pytest.fixture
def images(fashion16_test: tuple[Tensor, Tensor]) -> Tensor:
    return to_float(fashion16_test[0][:8])


@pytest.fixture(scope="module")
def unet() -> nn.Module:
    """A small U-Net that has learnt nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DDPM(channels=(8,), epochs=1).build(16).eval().requires_grad_(False)


def generators(count: int) -> list[Generator]:
    return [Generator().manual_seed(seed) for seed in range(count)]


def standard_data() -> Tensor:
    """46,080 standard normal values as images (60, 3, 16, 16)."""
    return torch.randn(60, 3, 16, 16, generator=Generator().manual_seed(9))


def assert_keeps_data(given: Tensor, result: Tensor, mean: float, std: float, time: float) -> None:
    """The same mean and deviation within 3 %, and what noise of t* leaves of the correlation with the input."""
    assert float(result.mean()) == pytest.approx(mean, abs=0.03 * std)
    assert float(result.var()) == pytest.approx(std**2, rel=0.03)
    signal = signal_at(time)
    kept = signal * std**2 / (signal * std**2 + 1 - signal)
    both = torch.stack([given.flatten(), result.flatten()])
    assert float(torch.corrcoef(both)[0, 1]) == pytest.approx(kept, abs=0.02)


class TestStatistics:
    """A perfect model of a distribution maps data to data, and what it sees of an image is what the noise leaves."""

    @pytest.mark.parametrize("continuous_time", [False, True])
    @pytest.mark.parametrize(("mean", "std", "time"), [(0, 1, 0.1), (0.5, 0.3, 0.1), (1, 2, 0.4)])
    def test_of_the_sde(self, mean: float, std: float, time: float, continuous_time: bool) -> None:
        model = Model(normal(mean, std), "sde", continuous_time)
        data, chosen = mean + std * standard_data(), generators(60)
        noisy = noised(data, chosen, round(1000 * time))
        result = reverse_sde(noise_at_time(model), noisy, chosen, time, 1e-3)
        assert_keeps_data(data, result, mean, std, time)

    @pytest.mark.parametrize("time", [0.1, 0.3])
    def test_of_ddpm_with_learned_variances(self, time: float) -> None:
        # So narrow that clipping to the pixel range changes nothing.
        mean, std = 0.1, 0.2
        data = mean + std * standard_data()
        result = purify(KnowsVariance(mean, std), (data + 1) / 2, range(60), sampler="ddpm", time=time)
        assert_keeps_data(data, 2 * result - 1, mean, std, time)

    @pytest.mark.parametrize("steps", [1, 100, 150, 1000])
    def test_of_the_noise_are_those_of_the_discrete_process(self, steps: int) -> None:
        black, white = (noised(torch.full((8, 3, 4, 4), level), generators(8), steps) for level in (-1.0, 1.0))
        signal = float(SIGNAL[steps - 1])
        torch.testing.assert_close(white - black, torch.full_like(white, 2 * math.sqrt(signal)))
        noise = torch.cat([torch.randn(1, 3, 4, 4, generator=generator) for generator in generators(8)])
        torch.testing.assert_close((white + black) / 2, math.sqrt(1 - signal) * noise, atol=1e-5, rtol=1e-4)


def written_out(current: Tensor, noises: Iterable[Tensor], time: float, step: float) -> Tensor:
    """Euler-Maruyama with the wavy predictions: dz = (-beta z / 2 - beta score) ds + sqrt(beta) dW, s from t* down."""
    grid = [time - step * index for index in range(1000) if time - step * index > 1e-5] + [1e-5]
    for (here, there), noise in zip(pairwise(grid), noises, strict=True):
        beta = 0.1 + here * (20 - 0.1)
        score = wavy(current, signal_at(here)) / -((1 - signal_at(here)) ** 0.5)
        drift = -beta * current / 2 - beta * score
        current = current + drift * (there - here) + (beta * (here - there)) ** 0.5 * noise
    return current


@pytest.mark.parametrize(("time", "step"), [(0.1, 0.001), (0.1, 0.03), (0.04, 0.05)])
def test_the_sampler_is_euler_maruyama_written_out(time: float, step: float, images: Tensor) -> None:
    chosen, replayed = generators(8), generators(8)
    result = reverse_sde(noise_at_time(Model(wavy, continuous_time=True)), images, chosen, time, step)
    drawn = [
        torch.cat([torch.randn(1, 3, 16, 16, generator=generator) for generator in replayed]).double()
        for _ in range(math.ceil(time / step))
    ]
    torch.testing.assert_close(result.double(), written_out(images.double(), drawn, time, step), atol=1e-5, rtol=0)


class TestCalls:
    @pytest.mark.parametrize(("time", "step"), [(0.1, 0.001), (0.15, 0.001), (0.1, 0.005), (0.15, 0.01), (0.1, 0.05)])
    def test_the_sde_asks_at_whole_steps_from_t_star_on(self, time: float, step: float, images: Tensor) -> None:
        model = Model(nothing, "sde")
        purify(model, images, time=time, step=step)
        count, spacing = round(time / step), round(1000 * step)
        assert model.steps == [round(1000 * time) - spacing * index for index in range(count)]

    def test_a_network_of_continuous_time_is_told_999_times_the_time(self, images: Tensor) -> None:
        model = Model(nothing, continuous_time=True)
        purify(model, images, time=0.1, step=0.025)
        torch.testing.assert_close(torch.stack(model.steps), torch.tensor([99.9, 74.925, 49.95, 24.975]))

    def test_between_whole_steps_the_earlier_one_is_meant(self, images: Tensor) -> None:
        model = Model(nothing, "sde")
        purify(model, images, time=0.0219, step=0.01)
        assert model.steps == [21, 11, 1]

    @pytest.mark.parametrize("time", [0.001, 0.1, 0.999, 0.9999])
    @every_sampler
    def test_steps_are_those_of_the_process(self, sampler: str, time: float, images: Tensor) -> None:
        model = Model(nothing, sampler)
        purify(model, images[:1], [0], sampler=sampler, time=time)
        assert all(not step.is_floating_point() and 0 <= step <= 999 for step in model.steps)
        assert len(model.steps) == round(1000 * time)

    def test_ddpm_asks_at_every_step_below_t_star(self, images: Tensor) -> None:
        model = Model(nothing)
        purify(model, images, sampler="ddpm", time=0.15)
        assert model.steps == list(range(149, -1, -1))

    def test_the_network_sees_images_of_the_side_that_it_wants(self, images: Tensor) -> None:
        model = Model(knowing(torch.full((8, 3, 24, 24), 0.25)), "sde")
        result = purify(model, images, side=24)
        assert set(model.sides) == {24}
        torch.testing.assert_close(result, torch.full_like(images, 0.25), atol=0.03, rtol=0)


class TestImages:
    @every_sampler
    def test_a_vanishing_time_changes_nothing(self, sampler: str, images: Tensor) -> None:
        changes = [
            float((purify(Model(wavy, sampler), images, sampler=sampler, time=time) - images).square().mean().sqrt())
            for time in (0.001, 0.01, 0.1)
        ]
        assert changes[0] < 0.01
        assert changes == sorted(changes)

    @every_sampler
    def test_a_perfect_model_gives_back_the_data(self, sampler: str, images: Tensor) -> None:
        model = Model(knowing(images), sampler)
        result = purify(model, (images + 0.1).clamp(0, 1), sampler=sampler)
        torch.testing.assert_close(result, images, atol=0.03, rtol=0)

    @every_sampler
    def test_the_same_seed_gives_the_same_image(self, sampler: str, images: Tensor) -> None:
        model, same = Model(wavy, sampler), images[:1].expand(8, 3, 16, 16)
        first, again = (purify(model, same, sampler=sampler) for _ in range(2))
        assert torch.equal(first, again)
        assert len({float(image.sum()) for image in first}) == 8

    @every_sampler
    def test_an_image_does_not_depend_on_its_batch(self, sampler: str, unet: nn.Module, images: Tensor) -> None:
        together = purify(unet, images, sampler=sampler, time=0.02)
        order = [5, 0, 7, 2, 1, 6, 4, 3]
        for rows in (order[:1], order[1:4], order[4:]):
            alone = purify(unet, images[rows], [SEEDS[row] for row in rows], sampler=sampler, time=0.02)
            torch.testing.assert_close(alone, together[rows], atol=1e-4, rtol=0)

    @every_sampler
    def test_leaves_its_input_and_the_global_random_state_alone(self, sampler: str, images: Tensor) -> None:
        before, state = images.clone(), torch.get_rng_state()
        purify(Model(wavy, sampler), images, sampler=sampler)
        assert torch.equal(images, before)
        assert torch.equal(torch.get_rng_state(), state)

    @every_sampler
    def test_constant_images_stay_in_the_pixel_range(self, sampler: str, unet: nn.Module) -> None:
        levels = torch.linspace(0, 1, 8)[:, None, None, None].expand(8, 3, 16, 16)
        result = purify(unet, levels, sampler=sampler, time=0.02)
        assert result.shape == levels.shape
        assert result.min() >= 0  # which NaN is not
        assert result.max() <= 1

    def test_ddpm_clips_what_it_takes_the_image_to_be(self) -> None:
        twice_white = torch.full((8, 3, 4, 4), 2.0)
        result = ddpm_chain(
            lambda noisy, step: knowing(twice_white)(noisy, float(SIGNAL[step])), twice_white, generators(8), 100
        )
        torch.testing.assert_close(result, torch.ones_like(result))

    def test_without_a_learned_variance_ddpm_takes_the_posterior_s(self, images: Tensor) -> None:
        """Which is the smaller of the bounds between which guided diffusion learns it, at -1."""

        class LearntTheSmallest(Model):
            def output(self, noisy: Tensor, step: Tensor) -> Tensor:
                noise = super().output(noisy, step)
                return torch.cat([noise, torch.full_like(noise, -1)], dim=1)

        results = [purify(model(wavy), images, sampler="ddpm") for model in (Model, LearntTheSmallest)]
        torch.testing.assert_close(*results, atol=1e-4, rtol=0)


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"time": 100}, "time", "100 is no t*, which is a share of the diffusion process and no step number"),
    ({"time": 10}, "time", "such as 0.1 for 100 steps"),
    ({"time": 1}, "time", "give a number from 0.001 up to but not including 1"),
    ({"time": 0}, "time", "give a number from 0.001"),
    ({"time": -0.1}, "time", "give a number from 0.001"),
    ({"time": 0.1, "step": 0}, "step", "greater than 0"),
    ({"time": 0.1, "step": 5}, "step", "less than 1"),
    ({"time": 0.1, "side": 0}, "side", "greater than 0"),
    ({"time": 0.1, "sampler": "ddim"}, "sampler", "'sde' or 'ddpm'"),
    ({"time": 0.1, "sampler": "ddpm", "step": 0.01}, "", "leave step out or set sampler to sde"),
]


@pytest.mark.parametrize(("parameters", "key", "remedy"), WRONG)
def test_wrong_parameters_are_refused_in_one_sentence(parameters: dict[str, Any], key: str, remedy: str) -> None:
    with pytest.raises(UserError) as caught:
        validate(DiffPure, parameters, "purifiers.yaml", "diffpure")
    message = one_sentence(str(caught.value))
    assert f"diffpure.{key}".rstrip(".") in message
    assert remedy in message
