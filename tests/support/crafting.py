"""Short attacks on small networks, for the tests of attacks against formulas."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import torch
from torch import Generator, Tensor, nn

from trigger_activation.science.attacks import ATTACKS, Attack
from trigger_activation.science.attacks.engine import State
from trigger_activation.science.helpers.ddpm import DDPM

EPS = Fraction(8, 255)
STEPS = 4


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def attack(name: str, **changes: object) -> Any:
    """An attack with its own defaults, but few steps."""
    return equipped(ATTACKS[name](**{"eps": EPS, **short(name), **changes}))


def short(name: str, steps: int = STEPS) -> dict[str, int]:
    """Little effort, in the terms of an attack."""
    efforts = {"steps": steps, "queries": 20, "draws": 2}
    return {key: value for key, value in efforts.items() if key in ATTACKS[name].model_fields}


def equipped(attacker: Attack) -> Attack:
    """The attack with an untrained helper network, if it needs one."""
    return attacker.with_helper(_diffusion_model()) if attacker.helper_role else attacker


@cache
def _diffusion_model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return DDPM(channels=(8,), epochs=1).build(16).eval().requires_grad_(False)


def craft(name: str, network: nn.Module, images: Tensor, labels: Tensor, seed: int = 0, **changes: object) -> Tensor:
    result: Tensor = attack(name, **changes).perturb(network, images, labels, seeded(seed))
    return result


def directions(
    attacker: Any, network: nn.Module, images: Tensor, labels: Tensor, seed: int = 0
) -> Callable[[Tensor], Tensor]:
    """What an attack ascends at images (B, 3, H, W), call by call as in one attack on a batch, but without steps."""
    rule = attacker.gradient_rule(network, images, labels, seeded(seed))
    state = State(images, torch.zeros_like(images))

    def direction(adversarial: Tensor) -> Tensor:
        state.adversarial = adversarial
        result: Tensor = rule(state)
        return result

    return direction


def same(left: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(left, right, atol=1e-6, rtol=0)


def close(left: Tensor, right: Tensor) -> None:
    """Equal but for the roundings of double precision."""
    assert right.abs().max() > 0
    torch.testing.assert_close(left, right, atol=1e-9 * float(right.abs().max()), rtol=1e-9)


def halves(head: nn.Module, body: nn.Module | None = None) -> nn.Sequential:
    """A network of a body, whose output is the layer ``body``, and a head; double precision."""
    return nn.Sequential(OrderedDict(body=body or nn.Identity(), head=head)).double().eval()


def curved(side: int = 8) -> nn.Sequential:
    """A network whose derivatives change much from image to image, for images of one side and 5 classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh())
        layers = nn.Flatten(), nn.Linear(4 * side**2, 20), nn.Tanh(), nn.Linear(20, 5)
        network = halves(nn.Sequential(*layers), body)
    for parameter in network.parameters():
        # Networks are nearly linear where their weights are as small as at the start of training.
        parameter.data.mul_(4)
    return network


def random_batch(side: int = 8, count: int = 3, classes: int = 5) -> tuple[Tensor, Tensor]:
    """Images in [0, 1], double precision, with pixels at both ends of the range; labels."""
    images = torch.rand(count, 3, side, side, generator=seeded(), dtype=torch.float64) * 1.2 - 0.1
    return images.clamp_(0, 1), torch.arange(count) % classes


def ascended(
    images: Tensor, direction: Callable[[Tensor], Tensor], momentum: float = 1.0, steps: int = STEPS
) -> Tensor:
    """Spec of all attacks written out for one image (1, 3, H, W): momentum, steps of eps / steps, projection."""
    eps, adversarial, velocity = float(EPS), images.clone(), torch.zeros_like(images)
    for _ in range(steps):
        gradient = direction(adversarial)
        velocity = momentum * velocity + gradient / gradient.abs().mean()
        moved = adversarial + eps / steps * velocity.sign()
        adversarial = (images + (moved - images).clamp(-eps, eps)).clamp(0, 1)
    return adversarial


def watched(network: nn.Module, layer: str, images: Tensor, watch: Callable[[Tensor], object]) -> Tensor:
    """The logits; a layer's output is shown to ``watch``, and later layers that work in place get a copy of it."""

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        watch(output)
        return output.clone()

    handle = network.get_submodule(layer).register_forward_hook(hook)
    logits: Tensor = network(images)
    handle.remove()
    return logits


def hooked_gradient(network: nn.Module, layer: str, images: Tensor, labels: Tensor, score: str) -> Tensor:
    """Of the true classes' scores with respect to a layer's output, as a hook on that tensor sees it."""
    seen: list[Tensor] = []
    logits = watched(network, layer, images.clone().requires_grad_(), lambda output: output.register_hook(seen.append))
    scores = logits if score == "logit" else logits.softmax(dim=1)
    scores.gather(1, labels[:, None]).sum().backward()
    network.zero_grad()
    return seen[0]


def layer_output(network: nn.Module, layer: str, images: Tensor) -> Tensor:
    """As the layers behind it get it."""
    seen: list[Tensor] = []
    watched(network, layer, images, seen.append)
    return seen[0]
