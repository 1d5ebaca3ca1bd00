"""What each attack costs: against torchattacks, against the bare passes that it consists of, and in memory.

A bare pass is one forward pass and one backward pass to the images, of the same frozen network on images that lie
ready, in the fastest way known: plain, with channels last, with batch normalisation folded, or with both.
"""

from __future__ import annotations

import threading
from copy import deepcopy
from fractions import Fraction
from pathlib import Path
from typing import Any

import psutil
import torch
import torchattacks
from torch import Generator, Tensor, nn

from benchmarks.bare import fastest, in_turns, seconds
from benchmarks.report import arguments, report
from trigger_activation.plan.config import load_config
from trigger_activation.science.attacks import ATTACKS, Attack
from trigger_activation.science.attacks.engine import counting_passes, input_gradient
from trigger_activation.science.networks import NETWORKS, NetworkFamily

NETWORK, SIDE, BATCH, CLASSES = "resnet18", 32, 64, 10
EPS, ALPHA = Fraction(8, 255), Fraction(2, 255)
STEPS = {"l2t": 2, "gra": 2, "vmifgsm": 2, "bsr": 2, "rpa": 2}
OTHER_STEPS = 20
COMPARED_STEPS = 5
MEMORY_MIB = 512
EQUAL: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "pgd": ({"step_size": ALPHA}, "PGD", {}),
    "ifgsm": ({"step_size": ALPHA}, "BIM", {}),
    "mifgsm": ({"step_size": ALPHA, "momentum": 1.0}, "MIFGSM", {"decay": 1.0}),
    # Theirs shrinks to 0.9 of the side and pads, so ours does too.
    "difgsm": ({"step_size": ALPHA, "momentum": 0.0, "rate": 0.9}, "DIFGSM", {"decay": 0.0, "resize_rate": 0.9}),
}
"""Attack -> our parameters, the name in torchattacks, its parameters."""


def build() -> tuple[NetworkFamily, nn.Module]:
    """The surrogate, as the stages load it."""
    variant = load_config(Path("config")).networks[NETWORK]
    family = NETWORKS[variant.class_](**variant.parameters)
    return family, family.build(SIDE, CLASSES).eval().to(memory_format=torch.channels_last)


def configured(name: str, family: NetworkFamily) -> Attack:
    """The attack with config's parameters, for the surrogate's family."""
    given = load_config(Path("config")).attacks[name].parameters
    cls = ATTACKS[name]
    shared = {"eps": EPS, "steps": STEPS.get(name, OTHER_STEPS), "memory_mib": MEMORY_MIB}
    return cls(**{key: value for key, value in shared.items() if key in cls.model_fields}, **given).for_network(family)


def against_torchattacks(network: nn.Module, images: Tensor, labels: Tensor) -> list[dict[str, Any]]:
    """Images per second at equal settings; theirs on the network as torchvision builds it, and with channels last."""
    contiguous, plain = deepcopy(network).to(memory_format=torch.contiguous_format), images.contiguous()
    rows = []
    for name, (ours, their_name, theirs) in EQUAL.items():
        attack = ATTACKS[name](eps=EPS, steps=COMPARED_STEPS, **ours)
        their_class = getattr(torchattacks, their_name)
        settings = {"eps": float(EPS), "alpha": float(ALPHA), "steps": COMPARED_STEPS, **theirs}
        first, second = their_class(contiguous, **settings), their_class(network, **settings)
        times = in_turns(
            {
                "ours": lambda attack=attack: attack.perturb(network, images, labels, Generator().manual_seed(0)),
                "contiguous": lambda first=first: first(plain, labels),
                "channels_last": lambda second=second: second(images, labels),
            },
            rounds=7,
        )
        rows.append(
            {
                "attack": name,
                "torchattacks": their_name,
                "ours img/s": round(BATCH / times["ours"], 1),
                "theirs img/s": round(BATCH / times["contiguous"], 1),
                "x theirs": round(times["contiguous"] / times["ours"], 2),
                "x theirs, channels last": round(times["channels_last"] / times["ours"], 2),
            }
        )
    return rows


def against_bare_passes(
    family: NetworkFamily, network: nn.Module, images: Tensor, labels: Tensor
) -> list[dict[str, Any]]:
    """Wall time over counted passes times the time of a bare pass; bare passes run before and after."""
    rows = []
    # L2T, which is to stay within its memory, first: the process does not hold the memory of others yet.
    for name in sorted(ATTACKS.names(), key=lambda name: name != "l2t"):
        attack = configured(name, family)
        if attack.helper_role:
            continue  # mostly the helper's passes
        before = bare_pass(network, images, labels)
        with counting_passes(network) as passed, PeakMemory() as memory:
            spent = seconds(lambda a=attack: a.perturb(network, images, labels, Generator().manual_seed(0)))
        after = bare_pass(network, images, labels)
        passes = sum(passed) / BATCH
        rows.append(
            {
                "attack": name,
                "steps": STEPS.get(name, OTHER_STEPS),
                "passes": round(passes, 1),
                "img/s": round(BATCH / spent, 2),
                "x bare passes": round(spent / (passes * (before + after) / 2), 3),
                "peak MiB": round(memory.growth_mib),
            }
        )
    return rows


def bare_pass(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Seconds of one pass: forward, and backward to the images."""
    return fastest(network, images, lambda ready, given: input_gradient(ready, given, labels), rounds=3)


class PeakMemory:
    """How much a block's resident memory grew at most, sampled every 5 ms."""

    def __enter__(self) -> PeakMemory:
        self._process = psutil.Process()
        self._start = self._peak = self._process.memory_info().rss
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._ended.wait(0.005):
            self._peak = max(self._peak, self._process.memory_info().rss)

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def growth_mib(self) -> float:
        """In MiB."""
        return (self._peak - self._start) / 2**20


def main() -> None:
    """Measure all attacks on one network."""
    options = arguments(__doc__).parse_args()
    torch.manual_seed(0)
    family, network = build()
    images = torch.rand(BATCH, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (BATCH,))
    rows = against_bare_passes(family, network, images, labels)
    rows += against_torchattacks(network, images, labels)
    report(rows, options.json)


if __name__ == "__main__":
    main()
