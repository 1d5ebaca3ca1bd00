"""The iterative engine that all attacks share (paper, Eq. 2-4).

An attack is a start, a gradient rule and a step; what differs between attacks is which of these it replaces. What goes
from one iteration to the next is a :class:`State`, which rules and steps are given.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, PositiveInt

from trigger_activation.errors import UserError
from trigger_activation.lazy import functional, torch
from trigger_activation.parameters import PixelFraction
from trigger_activation.science.helpers import ConsultsHelper

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from trigger_activation.science.networks import NetworkFamily

Momentum = Annotated[float, Field(ge=0)]
StepSize = PixelFraction | Annotated[str, Field(pattern=r"^(eps/steps|(0|[1-9]\d{0,2})(\.\d{1,9})?\*eps)$")]
"""A distance in the pixel range, ``eps/steps``, or a share of the budget such as ``0.25*eps``."""


@dataclass
class State:
    """What goes from one iteration to the next, for one batch."""

    adversarial: Tensor
    """The current images (B, 3, H, W), within the attack's bounds."""
    velocity: Tensor
    """The accumulated gradient (B, 3, H, W), zeros before the first step."""
    carried: dict[str, Tensor] = field(default_factory=dict)
    """What one attack alone keeps, by a name of its choice; empty before the first iteration."""


GradientRule = Callable[[State], "Tensor"]
"""The state of a batch -> the direction to ascend (B, 3, H, W), before the step accumulates it."""


class Attack(ConsultsHelper):
    """An untargeted attack under an l-infinity budget in the pixel range [0, 1]."""

    eps: PixelFraction

    @abstractmethod
    def perturb(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        """Adversarial images for one batch.

        Args:
            network: maps [0, 1] images to logits; left in the state it came in.
            images: (B, 3, H, W), float, in [0, 1].
            labels: (B,), the true classes.
            generator: source of all randomness, on the images' device.

        Returns:
            (B, 3, H, W) in [0, 1], nowhere further than ``eps`` from ``images``.

        Raises:
            UserError: images outside [0, 1] or not float, labels that the network has no class for, or a network
                that returns NaN or lacks the layer to attack.
        """

    def for_network(self, family: NetworkFamily) -> Self:  # noqa: ARG002
        """The attack with what it takes from the surrogate's family filled in; here nothing."""
        return self

    @property
    def keeps_budget(self) -> bool:
        """Whether the result stays within ``eps``."""
        return True

    @property
    @abstractmethod
    def passes(self) -> float:
        """Gradient passes for each image: forward and back to the pixels; an estimate where chance decides."""


class IterativeAttack(Attack):
    """Signed steps along a gradient rule, projected to the budget and to the pixel range after each."""

    steps: PositiveInt
    step_size: StepSize = "eps/steps"
    momentum: Momentum = 0.0
    """Weight of the accumulated gradient, mu in MI-FGSM."""

    @property
    def passes(self) -> float:
        """One for each step."""
        return self.steps

    def start(self, images: Tensor, generator: Generator) -> Tensor:  # noqa: ARG002
        """The first iterate, before projection; here the images themselves."""
        return images

    def gradient_rule(
        self,
        network: nn.Module,
        images: Tensor,  # noqa: ARG002
        labels: Tensor,
        generator: Generator,  # noqa: ARG002
    ) -> GradientRule:
        """What to ascend at each iterate of one batch; here the gradient of the cross entropy."""
        return lambda state: input_gradient(network, state.adversarial, labels)

    def bounds(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The smallest and the largest values of iterates: the budget within the pixel range."""
        return (images - float(self.eps)).clamp_(min=0), (images + float(self.eps)).clamp_(max=1)

    def step(self, state: State, gradient: Tensor) -> Tensor:
        """What to add to the images (B, 3, H, W), a new tensor; here alpha along the signs of the new velocity.

        Args:
            state: of the batch; its velocity becomes the next one.
            gradient: (B, 3, H, W), what the gradient rule returned for this state.
        """
        state.velocity = self.accumulate(state.velocity, gradient)
        return state.velocity.sign().mul_(self.alpha)

    def observed(self, network: nn.Module) -> nn.Module | None:  # noqa: ARG002
        """A module whose output the attack looks at, and which must therefore stay as it is; here none."""
        return None

    def perturb(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        """See :meth:`Attack.perturb`."""
        from trigger_activation.science.freezing import frozen

        check_images(images)
        lower, upper = self.bounds(images)
        with frozen(network, intact=self.observed(network)):
            check_labels(network, images, labels)
            rule = self.gradient_rule(network, images, labels, generator)
            state = State(self.start(images, generator).clamp(lower, upper), torch.zeros_like(images))
            finite = torch.ones((), dtype=torch.bool, device=images.device)
            for _ in range(self.steps):
                gradient = rule(state)
                finite &= gradient.isfinite().all()
                state.adversarial = self.step(state, gradient).add_(state.adversarial).clamp_(lower, upper)
        check_finite(finite)
        return state.adversarial

    def accumulate(self, velocity: Tensor, gradient: Tensor) -> Tensor:
        """The next momentum, each image's gradient scaled to mean magnitude 1; zero gradients add nothing."""
        if self.momentum == 0:
            return gradient
        magnitude = gradient.abs().mean(dim=(1, 2, 3), keepdim=True)
        return velocity.mul_(self.momentum).add_(gradient / magnitude.clamp_(min=torch.finfo(gradient.dtype).tiny))

    @property
    def alpha(self) -> float:
        """The step size in the pixel range."""
        if isinstance(self.step_size, Fraction):
            return float(self.step_size)
        share = Fraction(1, self.steps) if self.step_size == "eps/steps" else self.step_size.removesuffix("*eps")
        return float(Fraction(share) * self.eps)


def input_gradient(
    network: nn.Module, images: Tensor, labels: Tensor, transform: Callable[[Tensor], Tensor] = lambda images: images
) -> Tensor:
    """Gradient of the cross entropy of transformed images, summed so that no image's depends on the others."""
    images = images.detach().requires_grad_()
    loss = functional.cross_entropy(network(transform(images)), labels, reduction="sum")
    return torch.autograd.grad(loss, images)[0]


def check_images(images: Tensor) -> None:
    """Raise a ``UserError`` unless the images are float and in [0, 1]."""
    if not images.is_floating_point():
        raise UserError(f"attacks take float images in [0, 1], not {images.dtype}: divide uint8 images by 255")
    if images.numel() and not (images.min() >= 0 and images.max() <= 1):
        low, high = float(images.min()), float(images.max())
        raise UserError(f"attacks take images in [0, 1], but these span [{low:g}, {high:g}]: rescale them")


def check_finite(finite: Tensor) -> None:
    """Raise a ``UserError`` unless all that came out of a network was finite."""
    if not finite.all():
        raise UserError("the network returned NaN while it was attacked: train it again, or check its weights")


def check_labels(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Raise a ``UserError`` unless the network has a class for every label."""
    with torch.no_grad():
        classes = network(images[:1]).shape[1]
    if labels.numel() and not (labels.min() >= 0 and labels.max() < classes):
        raise UserError(
            f"labels span [{int(labels.min())}, {int(labels.max())}], but the network has {classes} classes: "
            "check that network and data set belong together"
        )


@contextmanager
def seed_from(generator: Generator) -> Iterator[int]:
    """A seed for a library that seeds torch's global generators with it; afterwards these are as before."""
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[generator.device] if generator.device.type == "cuda" else []):
        yield seed


@contextmanager
def counting_passes(network: nn.Module, gradients: bool = True) -> Iterator[list[int]]:
    """Collect the sizes of the batches that a network sees while gradients are recorded, or all of them."""
    sizes: list[int] = []

    def note(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if torch.is_grad_enabled() or not gradients:
            sizes.append(len(inputs[0]))

    # Before the pass, since attacks on features leave the network at their layer.
    handle = network.register_forward_pre_hook(note)
    try:
        yield sizes
    finally:
        handle.remove()
