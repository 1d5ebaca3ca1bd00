"""What all diffusion models share: Ho et al. 2020's process of 1,000 steps, and a network that predicts its noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from trigger_activation.lazy import diffusers, torch

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

STEPS = 1000
SCHEDULE = {
    "num_train_timesteps": STEPS,
    "beta_start": 1e-4,
    "beta_end": 2e-2,
    "beta_schedule": "linear",
    "prediction_type": "epsilon",
}
"""Linear variances, as Ho et al. 2020, guided diffusion and, made continuous, the VP-SDE have them."""


def takes_continuous_time(network: nn.Module) -> bool:
    """Whether a network knows the process at any time t in [0, 1], as step 999 t, or only at its 1,000 whole steps.

    A network of the first sort says so by an attribute ``continuous_time``, which its builder sets.
    """
    return getattr(network, "continuous_time", False)


def predicted_noise(network: nn.Module, noisy: Tensor, step: Tensor | float) -> Tensor:
    """The noise n in ``sqrt(abar) z + sqrt(1 - abar) n`` that a U-Net of diffusers sees.

    Args:
        network: of ``diffusers``; channels beyond the third are a learned variance, which is not used.
        noisy: (B, 3, H, W), made of images z in [-1, 1].
        step: of the process, from 0 to 999; one for all, or (B,). It may lie between whole steps only where
            :func:`takes_continuous_time` says so.
    """
    step = torch.as_tensor(step, device=noisy.device)  # Of a bare number diffusers drops the fraction.
    prediction: Tensor = network(noisy, step).sample[:, :3]
    return prediction


def sdedit(network: nn.Module, images: Tensor, noise: Tensor, respacing: int, reverse_steps: int) -> Tensor:
    """Images noised a little and denoised again (SDEdit, Meng et al. 2022), by deterministic DDIM steps.

    Args:
        network: predicts noise.
        images: (B, 3, H, W) in [0, 1].
        noise: standard normal, of the same shape.
        respacing: how many of the 1,000 steps, equally spaced from step 0 on, are used.
        reverse_steps: up to which of those the images are noised, K; it takes K + 1 predictions to come back.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    scheduler = diffusers.DDIMScheduler(**SCHEDULE, clip_sample=True, timestep_spacing="leading")
    scheduler.set_timesteps(respacing, device=images.device)
    steps = scheduler.timesteps[-(reverse_steps + 1) :]
    current = scheduler.add_noise(2 * images - 1, noise, steps[:1])
    for step in steps:
        prediction = predicted_noise(network, current, step)
        current = scheduler.step(prediction, step, current, use_clipped_model_output=True).prev_sample
    result: Tensor = (current + 1) / 2
    return result


SDE_END = 1e-5
"""Where the reverse SDE ends, short of time 0, at which the score has no bound."""


def standard_normal(like: Tensor, generators: list[Generator]) -> Tensor:
    """Noise of the shape, type and device of images, that of each image from its own generator."""
    noise: Tensor = diffusers.utils.torch_utils.randn_tensor(like.shape, generators, like.device, like.dtype)
    return noise


def noised(images: Tensor, generators: list[Generator], steps: int) -> Tensor:
    """Images (B, 3, H, W) in [-1, 1] after the first ``steps`` steps of the process."""
    last = torch.tensor([steps - 1])
    noisy: Tensor = diffusers.DDPMScheduler(**SCHEDULE).add_noise(images, standard_normal(images, generators), last)
    return noisy


def noise_at_time(network: nn.Module) -> Callable[[Tensor, float], Tensor]:
    """What a network predicts, as a function of noisy images and of the VP-SDE's time in [0, 1).

    A network that takes continuous time sees 999 times the time, others the whole part of 1,000 times the time.
    """

    def noise_of(noisy: Tensor, time: float) -> Tensor:
        if takes_continuous_time(network):
            return predicted_noise(network, noisy, (STEPS - 1) * time)
        # The times are decimal fractions: 0.023 is step 23, though its nearest float may be a little less.
        return predicted_noise(network, noisy, math.floor(STEPS * time + 1e-6))

    return noise_of


def reverse_sde(
    noise_of: Callable[[Tensor, float], Tensor], noisy: Tensor, generators: list[Generator], time: float, step: float
) -> Tensor:
    """The reverse VP-SDE (Song et al. 2021) from ``time`` down to 1e-5, by Euler-Maruyama.

    Args:
        noise_of: predicts the noise in images at a time, see :func:`noise_at_time`.
        noisy: (B, 3, H, W), images in [-1, 1] noised up to ``time``.
        generators: one for each image, the source of its noise.
        time: in (0, 1).
        step: length of the steps in time; the last one ends at 1e-5.

    Returns:
        (B, 3, H, W), about in [-1, 1].
    """
    current = noisy
    for index in range(math.ceil((time - SDE_END) / step)):
        here = time - index * step
        length = min(step, here - SDE_END)
        beta = (0.1 + 19.9 * here) * length
        signal = math.exp(-0.1 * here - 19.9 / 2 * here**2)  # abar
        score = -noise_of(current, here) / math.sqrt(1 - signal)
        current = current + beta * (current / 2 + score) + math.sqrt(beta) * standard_normal(current, generators)
    return current


def ddpm_chain(
    output_of: Callable[[Tensor, int], Tensor], noisy: Tensor, generators: list[Generator], steps: int
) -> Tensor:
    """The last ``steps`` steps of ancestral sampling (Ho et al. 2020), every prediction of the image clipped.

    Args:
        output_of: of noisy images and a step, counted from 0: the noise in three channels. Three more are the learned
            variance of guided diffusion (Nichol and Dhariwal 2021), without which it is that of the posterior.
        noisy: (B, 3, H, W), images in [-1, 1] after ``steps`` steps of noise.
        generators: one for each image, the source of its noise.
        steps: from 1 to 1,000.

    Returns:
        (B, 3, H, W) in [-1, 1].
    """
    current = noisy
    for step in reversed(range(steps)):
        output = output_of(current, step)
        scheduler = _ancestral("fixed_small" if output.shape == current.shape else "learned_range")
        current = scheduler.step(output, step, current, generator=generators).prev_sample
    return current


@cache
def _ancestral(variance_type: str) -> Any:
    return diffusers.DDPMScheduler(**SCHEDULE, variance_type=variance_type, clip_sample=True)
