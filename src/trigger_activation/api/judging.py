"""Accuracy of any model on a protocol's clean and adversarial images (paper, Eq. 5-7)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from trigger_activation.api.library import Library, chosen, library
from trigger_activation.api.loading import TaeSet, load_sets
from trigger_activation.api.results import Accuracy, Evaluation, UnderAttack
from trigger_activation.errors import UserError, suggest
from trigger_activation.plan import Artifact
from trigger_activation.plan.config.values import STANDARD
from trigger_activation.science.evaluation.foreign import Model, device_of, predicted_classes
from trigger_activation.science.evaluation.uncertainty import Variance, estimate, scores, spread
from trigger_activation.science.images import to_float

CHUNK = 1024
"""Images that are floats at a time."""
NO_FAMILY = "none"
"""What the owner of a model says that is of no surrogate's family."""
GIVEN = Variance(0.0, math.inf)
"""What is given does not vary."""
Correct = NDArray[np.bool_]


@dataclass(frozen=True)
class Judge:
    """A model and how it is called."""

    model: Model
    classes: int
    batch_size: int
    device: torch.device

    def correct(self, images: Tensor, labels: Tensor) -> Correct:
        """Which uint8 images (N, H, W, 3) the model classifies correctly, (N,)."""
        chunks = zip(torch.split(images, CHUNK), torch.split(labels, CHUNK), strict=True)
        found = [
            predicted_classes(self.model, to_float(chunk), self.classes, self.batch_size, self.device) == truth
            for chunk, truth in chunks
        ]
        return np.asarray(torch.cat(found).numpy())

    def answers(self, sets: Sequence[TaeSet]) -> tuple[Correct, dict[str, dict[str, Correct]]]:
        """What is classified correctly, of clean images and, by attack and surrogate, of adversarial ones."""
        most = max(sets, key=lambda each: len(each.labels))
        clean = self.correct(most.clean_pixels, most.labels)
        attacked: dict[str, dict[str, Correct]] = {}
        for each in tqdm(sets, desc="image sets", disable=None):
            attacked.setdefault(each.attack, {})[each.surrogate] = self.correct(each.pixels, each.labels)
        return clean, attacked

    @classmethod
    def of(cls, model: Model, classes: int, batch_size: int, device: str | torch.device | None) -> Judge:
        """A model where it lies, or on a device that the caller names.

        Raises:
            UserError: it cannot be called.
        """
        if not callable(model):
            raise UserError(f"a {type(model).__name__} cannot be called: give a network or a function of images")
        return cls(model, classes, batch_size, device_of(model) if device is None else torch.device(device))


def judged(
    clean: Correct, attacked: Mapping[str, Mapping[str, Correct]], others: Sequence[str] | None
) -> tuple[Accuracy, dict[str, UnderAttack], UnderAttack]:
    """Clean accuracy, that under each attack, and the mean over attacks.

    Args:
        clean: (N,), whether the model classifies each image correctly.
        attacked: attack -> surrogate -> the same of the adversarial images (Eq. 5).
        others: surrogates of other families than the model's; None if that is not known.
    """
    each = {attack: _under({attack: found}, others) for attack, found in attacked.items()}
    return _accuracy([clean]), each, _under(attacked, others)


def _under(attacked: Mapping[str, Mapping[str, Correct]], others: Sequence[str] | None) -> UnderAttack:
    surrogates = list(next(iter(attacked.values())))
    return UnderAttack(
        all=_accuracy(list(_pairs(attacked, surrogates))),
        other_families=_accuracy(list(_pairs(attacked, others))) if others else None,
        per_surrogate={name: _accuracy(list(_pairs(attacked, [name]))).mean for name in surrogates},
    )


def _pairs(attacked: Mapping[str, Mapping[str, Correct]], surrogates: Sequence[str]) -> Iterator[Correct]:
    return (found[surrogate] for found in attacked.values() for surrogate in surrogates)


def _accuracy(pairs: Sequence[Correct]) -> Accuracy:
    """The mean over some surrogates and attacks, whose images are given: they share no draw that could come anew."""
    most = max(map(len, pairs))
    each = [spread(scores(pair[np.newaxis, np.newaxis], block=1), most) for pair in pairs]
    found = estimate(np.mean(each, axis=0), seed_variance=GIVEN)
    margin = found.margin()
    return Accuracy(mean=found.mean, margin=margin if math.isfinite(margin) else None)


def other_families(library: Library, protocol: str, family: str | None) -> list[str] | None:
    """The surrogates that are not of a model's family.

    Args:
        library: of the project.
        protocol: whose surrogates.
        family: a network of the protocol, the class of one, ``none`` for a model of none of these, or None if unknown.

    Raises:
        UserError: no surrogate is of such a family.
    """
    if family is None:
        return None
    classes = {name: library.config.networks[name].class_ for name in library.protocol(protocol).networks}
    own = {name for name, its in classes.items() if family in (name, its)}
    if family in classes:
        own |= {name for name, its in classes.items() if its == classes[family]}
    if not own and family != NO_FAMILY:
        known = [*classes, *dict.fromkeys(classes.values()), NO_FAMILY]
        raise UserError(f"{protocol} has no surrogate of the family {family!r}: {suggest(family, known)}")
    return [name for name in classes if name not in own]


def evaluate(
    model: Model,
    protocol: str,
    *,
    attacks: Sequence[str] | None = None,
    name: str | None = None,
    family: str | None = None,
    surrogates: str = STANDARD,
    seed: int = 0,
    batch_size: int = 256,
    device: str | torch.device | None = None,
    project: str | Path | None = None,
) -> Evaluation:
    """What a model keeps of a protocol's test images, and of adversarial ones crafted on its surrogates (Eq. 5-7).

    Args:
        model: any callable from float images (B, 3, H, W) in [0, 1] to logits (B, classes). What it needs before,
            such as normalisation or resizing, is its own. A network is put into evaluation mode and back.
        protocol: one of ``config/protocols``.
        attacks: those of the protocol that are asked for; all of them unless given.
        name: of the row; that of the model's class unless given.
        family: of the model: a network of the protocol, the class of one, or ``none``; a second mean leaves it out.
        surrogates: how they were trained, or the protocol's role for that; undefended unless given.
        seed: of the surrogates.
        batch_size: of the calls.
        device: where images go; where a network's weights are, unless given.
        project: its folder, see :mod:`trigger_activation.api`.

    Returns:
        Accuracies in percent, with intervals about the choice of test images alone: model and surrogates come once.

    Raises:
        UserError: a name does not exist, a file is not here and not published, or the model returns what it should not.

    >>> from torchvision.models import resnet18
    >>> from trigger_activation import evaluate
    >>> found = evaluate(resnet18(num_classes=10), "smoke", attacks=["pgd", "mifgsm"], family="resnet")
    >>> list(found.row()), found.images, found.surrogates
    (['clean', 'pgd', 'mifgsm', 'mean'], 100, ['vgg-s', 'resnet18-xs'])
    >>> abs(found.mean.other_families.mean - found.mean.per_surrogate["vgg-s"]) < 1e-6
    True
    """
    found = library(project)
    dataset, paradigm = found.config.datasets[found.protocol(protocol).dataset], found.paradigm(protocol, surrogates)
    judge, others = Judge.of(model, dataset.classes, batch_size, device), other_families(found, protocol, family)
    clean, attacked = judge.answers(load_sets(found, protocol, _crafted(found, protocol, attacks, paradigm, seed)))
    accuracy, under, mean = judged(clean, attacked, others)
    return Evaluation(
        model=name or str(getattr(model, "__name__", type(model).__name__)),
        protocol=protocol,
        dataset=dataset.label,
        images=len(clean),
        surrogates=list(next(iter(attacked.values()))),
        surrogate_paradigm=paradigm,
        surrogate_seed=seed,
        family=family,
        clean=accuracy,
        attacks=under,
        mean=mean,
    )


def _crafted(found: Library, protocol: str, attacks: Sequence[str] | None, paradigm: str, seed: int) -> list[Artifact]:
    """The TAE sets of some attacks, each on every surrogate of the protocol.

    Raises:
        UserError: an attack was not run on each of them, or none was.
    """
    asked = {"paradigm": paradigm, "seed": str(seed)}
    chosen(found.taes(protocol), asked, f"TAE set of {protocol}")
    sets = [each for each in found.taes(protocol) if all(each.names[key] == value for key, value in asked.items())]
    by_attack: dict[str, dict[str, Artifact]] = {}
    for each in sets:
        by_attack.setdefault(each.names["attack"], {})[each.names["network"]] = each
    networks = found.protocol(protocol).networks
    complete = {attack: made for attack, made in by_attack.items() if made.keys() >= set(networks)}
    if attacks is not None and not attacks:
        raise UserError("no attack is asked for: name some, or leave `attacks` out for all of them")
    for attack in attacks or ():
        if attack not in complete:
            raise UserError(f"{protocol} has no attack {attack!r} on its surrogates: {suggest(attack, complete)}")
    return [complete[attack][network] for attack in attacks or complete for network in networks]
