"""What all diffusion models share: Ho et al. 2020's process of 1,000 steps, and a network that predicts its noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trigger_activation.lazy import diffusers, torch

if TYPE_CHECKING:
    from torch import Tensor, nn

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
