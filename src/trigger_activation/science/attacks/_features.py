"""Attacks on an intermediate layer: they suppress what speaks for the true class there."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from trigger_activation.errors import UserError, suggest
from trigger_activation.lazy import torch
from trigger_activation.science.attacks._copies import CopyingAttack, in_chunks, summed
from trigger_activation.science.attacks.engine import GradientRule, State

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from trigger_activation.science.networks import NetworkFamily

Score = Literal["logit", "probability"]
STAGES: dict[str, Literal[1, 2]] = {"stage1": 1, "stage2": 2}


class FeatureAttack(CopyingAttack):
    """Descends the features of one layer, weighted by their mean gradient over copies of the clean images."""

    layer: str = "stage2"
    """The end of the network's first or second stage, or a module's dotted name."""
    score: Score
    """Of the true class, whose gradient weighs the features: the logit or the softmax probability."""

    @abstractmethod
    def altered(self, images: Tensor, generator: Generator) -> Iterator[Tensor]:
        """The altered images (B, 3, H, W) at which the weights are taken."""

    def for_network(self, family: NetworkFamily) -> Self:
        """The attack with the stage's module instead of the stage's name."""
        if self.layer not in STAGES:
            return self
        return self.model_copy(update={"layer": family.feature_layer(STAGES[self.layer])})

    def observed(self, network: nn.Module) -> nn.Module:
        """The module whose output is attacked.

        Raises:
            UserError: the network has no such module.
        """
        modules: dict[str, nn.Module] = dict(getattr(network, "network", network).named_modules())
        del modules[""]  # the network itself
        if self.layer not in modules:
            raise UserError(f"the network has no layer {self.layer!r} to attack: {suggest(self.layer, modules)}")
        return modules[self.layer]

    def gradient_rule(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> GradientRule:
        """Minus the gradient of the weighted sum of the features."""
        layer = self.observed(network)
        evaluate = partial(feature_gradient, network, layer, self.score)
        at_once = self.images_at_once(network, images)
        gradients = in_chunks(evaluate, self.altered(images, generator), labels, at_once)
        weights = normalised(summed(gradient for (gradient,) in gradients))

        def descent(adversarial: Tensor, weights: Tensor) -> Tensor:
            source = adversarial.detach().requires_grad_()
            activation = (weights * features(network, layer, source)).sum()
            return torch.autograd.grad(-activation, source)[0]

        def rule(state: State) -> Tensor:
            parts = zip(torch.split(state.adversarial, at_once), torch.split(weights, at_once), strict=True)
            return torch.cat([descent(*part) for part in parts])

        return rule


def normalised(weights: Tensor) -> Tensor:
    """Each image's weights scaled to an L2 norm of 1; zeros stay zeros."""
    norms = torch.linalg.vector_norm(weights.flatten(1), dim=1).clamp(min=torch.finfo(weights.dtype).tiny)
    return torch.div(weights, norms.view(-1, *[1] * (weights.dim() - 1)))


def feature_gradient(
    network: nn.Module, layer: nn.Module, score: Score, images: Tensor, labels: Tensor
) -> tuple[Tensor]:
    """Gradient of the true class's score with respect to the (first) output of a layer, (n, ...) for each image."""
    cut: list[Tensor] = []

    def start_here(output: Tensor) -> Tensor:
        if cut:
            return output
        cut.append(output.detach().requires_grad_())
        return cut[0].clone()  # what follows may work in place

    with _hooked(layer, start_here):
        logits = network(images)
    if not cut:
        raise _never_reached(layer)
    outputs = logits if score == "logit" else logits.softmax(dim=1)
    return (torch.autograd.grad(outputs.gather(1, labels[:, None]).sum(), cut[0])[0],)


class _LayerReached(Exception):  # noqa: N818
    """Carries a layer's output out of the network, whose later layers need not run."""


def features(network: nn.Module, layer: nn.Module, images: Tensor) -> Tensor:
    """The (first) output of a layer, (n, ...)."""

    def leave(output: Tensor) -> Tensor:
        raise _LayerReached(output)

    try:
        with _hooked(layer, leave):
            network(images)
    except _LayerReached as reached:
        return cast("Tensor", reached.args[0])
    raise _never_reached(layer)


@contextmanager
def _hooked(layer: nn.Module, function: Callable[[Tensor], Tensor]) -> Iterator[None]:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
        return function(output)

    handle = layer.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _never_reached(layer: nn.Module) -> UserError:
    return UserError(f"the network never uses its layer {type(layer).__name__}: attack another layer")
