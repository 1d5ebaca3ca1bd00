"""Attacks that look at many altered copies of a batch, as many at once as a memory budget allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from pydantic import PositiveInt

from trigger_activation.lazy import functional, torch
from trigger_activation.science.attacks.engine import IterativeAttack, Momentum

if TYPE_CHECKING:
    from torch import Tensor, nn

Evaluation = Callable[["Tensor", "Tensor"], tuple["Tensor", ...]]
"""Images (n, 3, H, W) and labels (n,) -> results whose first dimension is n."""

PEAK_OVER_KEPT = 2
"""A bound on the peak memory of a pass over what it keeps for its backward half (see docs/benchmarks.md)."""


class CopyingAttack(IterativeAttack):
    """An iterative attack that averages over altered copies of the images."""

    momentum: Momentum = 1.0
    memory_mib: PositiveInt = 512
    """Memory that one pass of the network may take, in MiB, beside the network and the batch themselves."""

    def images_at_once(self, network: nn.Module, images: Tensor) -> int:
        """How many images of this size one pass may hold."""
        return max(1, self.memory_mib * 2**20 // (PEAK_OVER_KEPT * bytes_per_image(network, images)))


def bytes_per_image(network: nn.Module, images: Tensor) -> int:
    """Bytes that one more image makes autograd keep; weights, which do not grow with the batch, cancel out."""
    one = images[:1].detach()
    return _bytes_kept(network, one.expand(2, -1, -1, -1)) - _bytes_kept(network, one)


def _bytes_kept(network: nn.Module, images: Tensor) -> int:
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        # Not itself: the graph of a layer that keeps its own output would hold itself, and its weights, for ever.
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        # Not by a call, whose hooks would count this as a pass of the attack. The output keeps the storages alive.
        output: Tensor = network.forward(images.clone().requires_grad_())
        return sum(kept.values()) + output.nbytes


def in_chunks(
    evaluate: Evaluation, copies: Iterable[Tensor], labels: Tensor, at_once: int
) -> Iterator[tuple[Tensor, ...]]:
    """Evaluate copies of a batch, at most ``at_once`` images in one call.

    Args:
        evaluate: what to do with images and labels.
        copies: tensors (B, 3, H, W), drawn from as they are needed and in order, whatever ``at_once`` is.
        labels: (B,), the same for all copies.
        at_once: the most images of one call; whole copies share a call, or one copy is split.

    Yields:
        The results for each copy, in order.
    """
    stream, size = iter(copies), len(labels)
    while group := list(islice(stream, max(1, at_once // size))):
        images, truth = torch.cat(group), labels.repeat(len(group))
        pieces = [evaluate(*p) for p in zip(torch.split(images, at_once), torch.split(truth, at_once), strict=True)]
        yield from zip(*(torch.split(torch.cat(parts), size) for parts in zip(*pieces, strict=True)), strict=True)


def summed(terms: Iterable[Tensor]) -> Tensor:
    """The sum of one or more tensors, of which only one is held at a time."""
    terms = iter(terms)
    result = next(terms).clone()
    for term in terms:
        result += term
    return result


def losses_and_gradients(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropies (n,), and the gradient of each with respect to its own image."""
    images = images.detach().requires_grad_()
    losses = functional.cross_entropy(network(images), labels, reduction="none")
    return losses.detach(), torch.autograd.grad(losses.sum(), images)[0]


def through_transforms(
    network: nn.Module,
    transform: Callable[[Tensor], Iterator[Tensor]],
    images: Tensor,
    labels: Tensor,
    at_once: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Cross entropies of transformed copies and their gradients with respect to the untransformed images.

    Args:
        network: maps [0, 1] images to logits.
        transform: (B, 3, H, W) -> copies of the same shape, differentiable.
        images: (B, 3, H, W).
        labels: (B,).
        at_once: the most images of one pass.

    Yields:
        For each copy its losses (B,) and gradients (B, 3, H, W).
    """
    source = images.detach().requires_grad_()
    waiting: deque[Tensor] = deque()

    def copies() -> Iterator[Tensor]:
        for copy in transform(source):
            waiting.append(copy)
            yield copy.detach()

    for losses, gradient in in_chunks(partial(losses_and_gradients, network), copies(), labels, at_once):
        # Several copies may share the first part of their transforms.
        yield losses, torch.autograd.grad(waiting.popleft(), source, gradient, retain_graph=True)[0]
