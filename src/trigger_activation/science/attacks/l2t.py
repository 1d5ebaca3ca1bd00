"""Learning to transform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from statistics import mean
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import Field, NonNegativeFloat, PositiveInt

from trigger_activation.lazy import torch
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks._copies import CopyingAttack, summed, through_transforms
from trigger_activation.science.attacks._operations import Family, Operation, pool
from trigger_activation.science.attacks.engine import GradientRule, State

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@ATTACKS.register("l2t", version=1)
class L2T(CopyingAttack):
    """L2T (Zhu et al. 2024): gradients averaged over random chains of image operations, drawn by a learned policy.

    The policy's gradient is so small (pi is about 1e-4) that 20 updates leave it uniform in effect; it is there because
    the paper has it.
    """

    paths: PositiveInt = 3
    """Chains drawn for each iteration."""
    operations: PositiveInt = 2
    """Operations of a chain."""
    policy_learning_rate: NonNegativeFloat = 0.01
    families: Annotated[tuple[Family, ...], Field(strict=False, min_length=1)] = get_args(Family)
    """The families of operations that the pool has."""
    spectrum_copies: Literal[5, 10] = 10

    @property
    def passes(self) -> float:
        """At each step one for each copy of each path; how many these are depends on the operations drawn."""
        copies = mean(operation.copies for operation in pool(self.families, float(self.eps), self.spectrum_copies))
        return float(self.steps * self.paths * copies**self.operations)

    def gradient_rule(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> GradientRule:
        """The mean over chains of the mean gradient over each chain's copies."""
        operations = pool(self.families, float(self.eps), self.spectrum_copies)
        at_once = self.images_at_once(network, images)
        undecided = torch.zeros(len(operations), dtype=torch.float64)

        def along(path: list[int], adversarial: Tensor) -> tuple[Tensor, Tensor]:
            """Loss of the batch and gradient of each image, both the mean over a chain's copies."""
            transform = partial(chained, [operations[index] for index in path], generator=generator)
            loss, gradient, copies = torch.zeros(()).to(adversarial), torch.zeros_like(adversarial), 0
            for losses, pulled in through_transforms(network, transform, adversarial, labels, at_once):
                loss += losses.mean()
                gradient += pulled
                copies += 1
            return loss / copies, gradient / copies

        def rule(state: State) -> Tensor:
            policy = state.carried.get("policy", undecided)
            drawn = self.draw(policy, generator)
            losses, gradients = zip(*(along(path, state.adversarial) for path in drawn.tolist()), strict=True)
            # A network that returns NaN is reported by the engine, after the last step.
            known = torch.stack(losses).to(policy).nan_to_num()
            state.carried["policy"] = updated(policy, drawn, known, self.policy_learning_rate)
            return summed(gradients) / self.paths

        return rule

    def draw(self, policy: Tensor, generator: Generator) -> Tensor:
        """Indices of operations (paths, operations), independent draws from the policy's softmax."""
        probabilities = policy.softmax(dim=0).to(generator.device)
        drawn = torch.multinomial(probabilities, self.paths * self.operations, replacement=True, generator=generator)
        return drawn.view(self.paths, self.operations).cpu()


def chained(chain: Sequence[Operation], images: Tensor, generator: Generator) -> Iterator[Tensor]:
    """All copies that the operations of a chain make of each other's copies."""
    if not chain:
        yield images
        return
    for copy in chain[0].apply(images, generator):
        yield from chained(chain[1:], copy, generator)


def updated(policy: Tensor, drawn: Tensor, losses: Tensor, learning_rate: float) -> Tensor:
    """The policy (n,) after a step of gradient ascent on the mean over paths of probability times loss.

    Args:
        policy: logits (n,).
        drawn: indices of each path's operations (paths, operations).
        losses: (paths,).
        learning_rate: of the step.
    """
    policy = policy.clone().requires_grad_()
    probabilities = policy.softmax(dim=0)[drawn].prod(dim=1)
    (gradient,) = torch.autograd.grad((probabilities * losses).mean(), policy)
    return (policy + learning_rate * gradient).detach()
