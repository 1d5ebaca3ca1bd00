"""Purification by a diffusion model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from trigger_activation.lazy import functional, torch
from trigger_activation.science.helpers.diffusion import STEPS, ddpm_chain, noise_at_time, noised, reverse_sde
from trigger_activation.science.preprocessing import PREPROCESSING, Purifier

if TYPE_CHECKING:
    from torch import Generator, Tensor


@PREPROCESSING.register("diffpure", version=1)
class DiffPure(Purifier):
    """DiffPure (Nie et al. 2022): noise an image up to time t*, then let a diffusion model denoise it."""

    helper_role: ClassVar[str | None] = "diffusion"
    random: ClassVar[bool] = True

    sampler: Literal["sde", "ddpm"] = "sde"
    """How to denoise: the reverse SDE, or the steps of the discrete process."""
    time: float
    """t*, as a share of the process."""
    step: Annotated[float, Field(gt=0, lt=1)] = 1 / STEPS
    """Length of a step of the SDE, in the same unit; the network is asked t*/step times."""
    side: PositiveInt | None = None
    """To which the images are resized for the network, in pixels; None leaves them as they are."""

    @field_validator("time")
    @classmethod
    def _is_a_share(cls, time: float) -> float:
        if not 1 / STEPS <= time < 1:
            raise ValueError(
                f"{time:g} is no t*, which is a share of the diffusion process and no step number: give a number from "
                f"{1 / STEPS:g} up to but not including 1, such as 0.1 for 100 steps"
            )
        return time

    @model_validator(mode="after")
    def _only_the_sde_has_a_step(self) -> Self:
        if self.sampler == "ddpm" and self.step != 1 / STEPS:
            raise ValueError(
                f"the sampler ddpm takes all steps of the process, not those of {self.step:g} that the SDE may take: "
                "leave step out or set sampler to sde"
            )
        return self

    @property
    def helper_calls(self) -> int:
        """One for each step back."""
        return round(self.time / self.step) if self.sampler == "sde" else round(STEPS * self.time)

    def apply(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """The purified images; a generator on the CPU for each of them makes noise that is the same on all devices."""
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        own = images.shape[-2:]
        wanted = own if self.side is None else (self.side, self.side)
        resized = functional.interpolate(images, size=wanted, mode="bilinear")
        denoised = (self._denoised(2 * resized - 1, generators) + 1) / 2
        return functional.interpolate(denoised, size=own, mode="bilinear").clamp_(0, 1)

    def _denoised(self, images: Tensor, generators: list[Generator]) -> Tensor:
        steps, network = round(STEPS * self.time), self.helper
        noisy = noised(images, generators, steps)
        if self.sampler == "sde":
            return reverse_sde(noise_at_time(network), noisy, generators, self.time, self.step)
        return ddpm_chain(lambda current, step: network(current, step).sample, noisy, generators, steps)
