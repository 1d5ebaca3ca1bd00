"""Studies of attackers who know more than a surrogate: the victim, or its trigger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from trigger_activation.errors import UserError
from trigger_activation.plan.contents import InformedStudy
from trigger_activation.plan.recipes import InformedParameters, KnownTriggerTraining
from trigger_activation.run.job import Job
from trigger_activation.run.stages._shared import equipped
from trigger_activation.science import seeds
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks.engine import IterativeAttack
from trigger_activation.science.defended import DefendedNetwork
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.evaluation import accuracy, informed
from trigger_activation.science.images import to_float
from trigger_activation.science.preprocessing import PREPROCESSING, Preprocessing
from trigger_activation.science.training.known_trigger import KnownTrigger
from trigger_activation.science.training.loop import Streams, train
from trigger_activation.store.checkpoints import build_network

SAMPLE = 8
"""Images that show whether a gradient comes through a preprocessing."""


@dataclass(frozen=True)
class Contest:
    """A victim, and what an attacker attacks to reach it."""

    name: str
    """Of its random streams."""
    victim: nn.Module
    attacked: Callable[[], nn.Module]
    """Makes it, which may take a training."""


def make_informed(job: Job[InformedParameters]) -> None:
    """Attack every victim of one column with what the attacker knows of it."""
    given = job.parameters
    images, labels = job.labelled("test", given.images)
    attack = ATTACKS.instance(given.algorithm)
    contests = list(_contests(job, images, labels))
    done: dict[str, list[Any]] = job.scratch.load() or {"right": [], "changes": []}
    for contest in tqdm(contests[len(done["right"]) :], desc="attacks"):
        right, change = informed.withstood(
            contest.victim,
            contest.attacked(),
            attack,
            images,
            labels,
            given.batch_size,
            job.generator(contest.name),
            spares=given.knows == "victim",
        )
        done["right"].append(right.cpu())
        done["changes"].append(change)
        job.scratch.save(done, f"attack {len(done['right'])} of {len(contests)}")
    shape = len(given.seeds), len(given.networks), -1, len(labels)
    job.publish_json(_study(job, torch.stack(done["right"]).reshape(shape).numpy(), done["changes"]))


def _study(job: Job[InformedParameters], correct: NDArray[np.bool_], changes: list[float]) -> InformedStudy:
    given = job.parameters
    return InformedStudy(
        knows=given.knows,
        attack=given.attack,
        column=given.column,
        victims=given.networks,
        seeds=given.seeds,
        images=correct.shape[-1],
        correct=correct.sum(axis=-1).tolist(),
        means={
            given.attack if given.knows == "victim" else "off_diagonal": accuracy.pair_mean(
                correct, accuracy.all_pairs(*correct.shape[1:3]), given.block
            )
        },
        evidence={"budget": [round(change, 2) for change in changes]},
    )


def _contests(job: Job[InformedParameters], images: torch.Tensor, labels: torch.Tensor) -> Iterator[Contest]:
    """Seeds, in each its victims, for each of these what it is attacked by way of."""
    given = job.parameters
    paths = [reference.path for reference in job.spec.inputs["victims"]]
    victims = dict(zip(paths, job.networks("victims"), strict=True))
    if given.knows == "victim":
        defended = _behind_preprocessing(job, images[:SAMPLE], labels[:SAMPLE])
        for path, victim in victims.items():
            yield Contest(path, defended(victim, f"{path} answers"), partial(defended, victim, f"{path} attacked"))
        return
    surrogate = _undefended(job) if given.training is None else _trained(job, given.training)
    for index, (path, victim) in enumerate(victims.items()):
        seed, own = divmod(index, len(given.networks))
        for other, name in enumerate(given.networks):
            if other != own:
                stream = f"{path} by way of {name}"
                yield Contest(
                    stream, victim, partial(surrogate, stream, _trigger(job, victim), victim.clamp, seed, other)
                )


def _trigger(job: Job[InformedParameters], victim: DeployedNetwork) -> torch.Tensor:
    if victim.trigger is None:
        raise UserError(f"{job.spec.path}: the victims have no trigger that could be known: choose a trigger paradigm")
    return victim.trigger


def _behind_preprocessing(
    job: Job[InformedParameters], images: torch.Tensor, labels: torch.Tensor
) -> Callable[[DeployedNetwork, str], nn.Module]:
    """What makes a victim and the name of a random stream the network that answers, and that attackers see."""
    given = job.parameters
    if given.preprocessing is None:
        return lambda victim, _: victim
    preprocessing: Preprocessing = equipped(PREPROCESSING, given.preprocessing, job)

    def defended(victim: nn.Module, stream: str) -> DefendedNetwork:
        generator = seeds.torch_generator(job.spec.path, stream, torch.device("cpu"))
        return DefendedNetwork(preprocessing, victim, generator, "identity" if given.bpda else "through").eval()

    if issubclass(ATTACKS[given.algorithm["class"]], IterativeAttack):
        defended(job.networks("victims")[0], "gradient").check_gradient(to_float(images), labels)
    return defended


Surrogate = Callable[[str, torch.Tensor, bool, int, int], nn.Module]
"""The name of random streams, a known trigger, whether its sums are clamped, positions of seed and network -> what is
attacked."""


def _undefended(job: Job[InformedParameters]) -> Surrogate:
    """Undefended networks of the victim's seed, to which its trigger is added."""
    surrogates, count = job.networks("surrogates"), len(job.parameters.networks)

    def triggered(_: str, trigger: torch.Tensor, clamp: bool, seed: int, network: int) -> nn.Module:
        return DeployedNetwork(surrogates[seed * count + network].network, trigger, clamp).eval()

    return triggered


def _trained(job: Job[InformedParameters], given: KnownTriggerTraining) -> Surrogate:
    """Networks that are trained with the victim's trigger, each for one victim."""
    images, labels = job.labelled("train", given.images, margin=True)

    def trained(stream: str, trigger: torch.Tensor, clamp: bool, _: int, network: int) -> nn.Module:
        torch.manual_seed(seeds.derive_seed(job.spec.path, f"{stream}, initialisation"))
        description = {
            "network": given.architectures[network],
            "image_size": given.image_size,
            "classes": given.classes,
        }
        fresh = build_network(description).to(job.device)
        streams = Streams(*(job.generator(f"{stream}, {name}") for name in Streams.__dataclass_fields__))
        paradigm = KnownTrigger.of(trigger, clamp)
        train(fresh, paradigm, images, labels, given.training, streams, side=given.image_size)
        return DeployedNetwork(fresh, trigger, clamp).eval()

    return trained
