"""PGD on images that a diffusion model has denoised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from trigger_activation.lazy import torch
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks.engine import GradientRule, State, input_gradient
from trigger_activation.science.attacks.pgd import PGD
from trigger_activation.science.helpers.diffusion import STEPS, sdedit

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@ATTACKS.register("diffpgd", version=1)
class DiffPGD(PGD):
    """Diff-PGD (Xue et al. 2023): the gradient is taken where SDEdit, R_K, puts the adversarial image.

    Its authors run the ``accelerated`` version, which takes the gradient at R_K(x + delta) for that at x + delta and
    leaves x + delta unclipped until the end. The ``full`` version differentiates through R_K.
    """

    helper_role: ClassVar[str | None] = "diffusion"

    random_start: bool = False
    derivative: Literal["accelerated", "full"] = "accelerated"
    respacing: Annotated[int, Field(gt=0, le=STEPS)] = 50
    """Steps that the diffusion process is thinned out to."""
    reverse_steps: Annotated[int, Field(ge=0)] = 3
    """Of these, up to which the image is noised: K."""
    output: Literal["adversarial", "denoised"] = "adversarial"
    """``denoised``: R_K of the adversarial image, which its authors regard as the result; it keeps no budget."""

    @model_validator(mode="after")
    def _fits_the_process(self) -> Self:
        if STEPS % self.respacing or self.reverse_steps >= self.respacing:
            raise ValueError(
                f"respacing must divide {STEPS} and be larger than reverse_steps, but they are {self.respacing} and "
                f"{self.reverse_steps}: change one of them"
            )
        return self

    @property
    def keeps_budget(self) -> bool:
        """Whether the result stays within ``eps``."""
        return self.output == "adversarial"

    @property
    def helper_calls(self) -> int:
        """At each step one for each step of denoising, the first at full noise among them."""
        return self.steps * (self.reverse_steps + 1)

    def bounds(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The budget, in the accelerated version alone."""
        if self.derivative == "full":
            return super().bounds(images)
        return images - float(self.eps), images + float(self.eps)

    def gradient_rule(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> GradientRule:
        """The cross-entropy gradient at denoised images, or through the denoising."""
        del images

        def accelerated(state: State) -> Tensor:
            with torch.no_grad():
                denoised = self.denoised(state.adversarial, generator)
            return input_gradient(network, denoised, labels)

        def full(state: State) -> Tensor:
            return input_gradient(network, state.adversarial, labels, lambda source: self.denoised(source, generator))

        return full if self.derivative == "full" else accelerated

    def perturb(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        """See :meth:`Attack.perturb`."""
        adversarial = super().perturb(network, images, labels, generator).clamp_(0, 1)
        if self.keeps_budget:
            return adversarial
        with torch.no_grad():
            return self.denoised(adversarial, generator)

    def denoised(self, images: Tensor, generator: Generator) -> Tensor:
        """R_K of images (B, 3, H, W), with new noise."""
        noise = torch.empty_like(images).normal_(generator=generator)
        return sdedit(self.helper, images, noise, self.respacing, self.reverse_steps)
