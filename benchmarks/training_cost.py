"""What each paradigm costs: against standard training, and against the bare passes that it consists of.

A bare pass is one forward and backward pass on images that lie ready; of a frozen network in the fastest way known:
plain, with channels last, with batch normalisation folded, or with both. Everything else that an epoch does (reading,
augmentation, optimiser, bookkeeping) is overhead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Generator, Tensor, nn

from benchmarks.bare import fastest, in_turns
from benchmarks.report import arguments, report
from trigger_activation.plan.config import load_config
from trigger_activation.science.networks import NETWORKS
from trigger_activation.science.training.loop import Streams, train
from trigger_activation.science.training.paradigms import PARADIGMS, Paradigm
from trigger_activation.science.training.settings import Augmentation, TrainingSettings

EPOCHS = 5
ROUNDS = 3
"""The shortest time of so many counts, in each of which bare passes and trainings take turns."""
STEPS = 10


@dataclass(frozen=True)
class Setting:
    """A network, and how many images an epoch has."""

    network: str
    side: int
    batch_size: int
    batches: int


SETTINGS = (Setting("vgg-s", 16, 64, 40), Setting("resnet18-xs", 16, 64, 40), Setting("resnet18", 32, 16, 2))


def paradigms() -> dict[str, Paradigm]:
    """All of them, with the paper's steps."""
    eps, step = Fraction(8, 255), Fraction(2, 255)
    return {
        "standard": PARADIGMS["standard"](),
        "noise_augmentation": PARADIGMS["noise_augmentation"](noise_eps=Fraction(64, 255)),
        "trigger_fixed": PARADIGMS["trigger_fixed"](trigger_eps=Fraction(64, 255)),
        "trigger_learnable": PARADIGMS["trigger_learnable"](alpha=step),
        "tdat": PARADIGMS["tdat"](eps=eps, gamma_min=0.15, regularisation=0.6),
        "adversarial": PARADIGMS["adversarial"](eps=eps, steps=STEPS, step_size=step),
        "rat": PARADIGMS["rat"](eps=eps, steps=STEPS, step_size=step),
    }


def build(setting: Setting) -> nn.Module:
    """A fresh network of the setting."""
    variant = load_config(Path("config")).networks[setting.network]
    network = NETWORKS[variant.class_](**variant.parameters).build(setting.side, 10)
    return network.to(memory_format=torch.channels_last)


def usual_seconds(action: Callable[[], Any], repeats: int) -> float:
    """Median wall time after one warm-up."""
    return in_turns({"action": action}, repeats)["action"]


def training_pass(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Forward and backward to the parameters."""
    network.zero_grad(set_to_none=True)
    functional.cross_entropy(network(images), labels).backward()


def input_pass(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Forward and backward to the images, parameters frozen."""
    images = images.detach().requires_grad_()
    torch.autograd.grad(functional.cross_entropy(network(images), labels), images)


def stepped_pass(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Forward and backward to the images, forward again, then backward to the parameters through both.

    In one piece, since keeping two graphs at a time costs up to a tenth more than the passes one by one.
    """
    network.zero_grad(set_to_none=True)
    variable = images.detach().requires_grad_()
    before = functional.cross_entropy(network(variable), labels)
    torch.autograd.grad(before, variable, retain_graph=True)
    (before + functional.cross_entropy(network(images), labels)).backward()


@torch.no_grad()
def prediction_pass(network: nn.Module, images: Tensor) -> None:
    """Forward only."""
    network(images)


def bare_passes(setting: Setting) -> dict[str, float]:
    """Seconds of the passes that one batch of each paradigm consists of."""
    network, size = build(setting), setting.batch_size
    images = torch.rand(2 * size, 3, setting.side, setting.side).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (2 * size,))
    repeats = max(5, setting.batches // 2)
    one = usual_seconds(lambda: training_pass(network, images[:size], labels[:size]), repeats)
    both = usual_seconds(lambda: training_pass(network, images, labels), repeats)
    stepped = usual_seconds(lambda: stepped_pass(network, images[:size], labels[:size]), repeats)
    prediction = fastest(network, images[:size], prediction_pass, repeats)
    crafting = fastest(network, images[:size], lambda *given: input_pass(*given, labels[:size]), repeats)
    return {
        "standard": one,
        "noise_augmentation": one,
        "trigger_fixed": both,
        "trigger_learnable": both + 0.6 * crafting,
        "tdat": stepped,
        "adversarial": one + STEPS * crafting,
        "rat": prediction + STEPS * crafting + 2 * one,
    }


def epoch_seconds(setting: Setting, paradigm: Paradigm) -> float:
    """Wall time of one epoch, the mean over a training of five, three of which end with a trigger pass."""
    count = setting.batch_size * setting.batches
    images = torch.randint(0, 256, (count, setting.side, setting.side, 3), dtype=torch.uint8)
    labels = torch.randint(0, 10, (count,))
    settings = TrainingSettings(
        epochs=EPOCHS,
        batch_size=setting.batch_size,
        learning_rate=0.01,
        momentum=0.9,
        weight_decay=5e-4,
        gradient_clip=5.0,
        augmentation=Augmentation(crop="pad", padding=1, horizontal_flip=True),
    )
    streams = Streams(*(Generator().manual_seed(seed) for seed in range(5)))
    network = build(setting)
    start = time.perf_counter()
    train(network, paradigm, images, labels, settings, streams)
    return (time.perf_counter() - start) / EPOCHS


def measure(setting: Setting) -> list[dict[str, Any]]:
    """One row per paradigm."""
    rounds = [
        (bare_passes(setting), {name: epoch_seconds(setting, paradigm) for name, paradigm in paradigms().items()})
        for _ in range(ROUNDS)
    ]
    bare, epochs = ({name: min(r[part][name] for r in rounds) for name in paradigms()} for part in (0, 1))
    passes = {name: paradigm.passes for name, paradigm in paradigms().items()}
    return [
        {
            "network": f"{setting.network} {setting.side} px",
            "paradigm": name,
            "s/epoch": round(epochs[name], 3),
            "x standard": round(epochs[name] / epochs["standard"], 2),
            "nominal": round(passes[name], 2),
            "x bare passes": round(epochs[name] / (bare[name] * setting.batches), 3),
        }
        for name in epochs
    ]


def main() -> None:
    """Measure all settings with one thread."""
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    report([row for setting in SETTINGS for row in measure(setting)], options.json)


if __name__ == "__main__":
    main()
