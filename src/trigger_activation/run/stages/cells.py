"""Table cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from trigger_activation.plan.config.values import CLEAN, WITHOUT_TRIGGER
from trigger_activation.plan.contents import Cell
from trigger_activation.plan.kinds import TAE
from trigger_activation.plan.recipes import CellParameters, TaeParameters
from trigger_activation.run.job import Job, parameters_of
from trigger_activation.run.stages._evidence import of_clean_images, of_taes, without_triggers
from trigger_activation.run.stages._shared import check_budget
from trigger_activation.science import seeds
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.evaluation import accuracy
from trigger_activation.science.images import to_float
from trigger_activation.science.preprocessing import PREPROCESSING
from trigger_activation.science.sanity import Evidence
from trigger_activation.store.records import Record

Classes = NDArray[np.uint16]
"""Predicted; see :class:`Answers`."""


@dataclass(frozen=True)
class Answers:
    """The classes that victims predict."""

    matched: Classes
    """(seeds, T, S, N): of victim t of a seed for the images of surrogate s of that seed; clean images count as one
    surrogate."""
    other_seed: Classes | None
    """(seeds, T, 1, N): of victim t of a seed for the images of its own architecture's surrogate of the next seed."""
    budget: list[float]
    """Largest change in each TAE set in percent of eps."""

    @property
    def arrays(self) -> dict[str, Classes]:
        """By name, for a file."""
        return {"classes": self.matched, **({} if self.other_seed is None else {"other_seed": self.other_seed})}


def make_cell(job: Job[CellParameters]) -> None:
    """Evaluate every victim on the image sets of one cell."""
    test, labels = job.labelled("test", job.parameters.images)
    victims, records = job.networks("victims"), job.records("images")
    clean, truth = job.parameters.attack == CLEAN, labels.cpu().numpy()
    answers = _of_clean_images(job, victims, records) if clean else _of_attacked_images(job, victims, records, test)
    correct = answers.matched == truth
    other_seed = None if answers.other_seed is None else answers.other_seed == truth
    bare = without_triggers(job, victims, test, labels) if clean else None
    if clean:
        evidence = of_clean_images(job, records[0], test, correct, bare)
    else:
        evidence = of_taes(job, records, answers.budget, correct)
    job.publish_by_product(answers.arrays)
    job.publish_json(_cell(job, correct, other_seed, bare, evidence))


def _of_clean_images(job: Job[CellParameters], victims: Sequence[nn.Module], records: Sequence[Record]) -> Answers:
    """All victims see the same images."""
    (record,) = records
    images = job.images(record, job.parameters.images)
    predicted = accuracy.predict_each(victims, _as_victims_see(images, record.path, job))
    by_seed = predicted.reshape(len(job.parameters.seeds), -1, 1, len(images))
    return Answers(by_seed.cpu().numpy().astype(np.uint16), None, [])


def _of_attacked_images(
    job: Job[CellParameters], victims: Sequence[nn.Module], records: Sequence[Record], test: torch.Tensor
) -> Answers:
    """Victims see the images of the surrogates of their seed, and of their own architecture those of the next seed."""
    every_seed, surrogates = len(job.parameters.seeds), len(job.parameters.networks)
    count = len(victims) // every_seed
    alike = job.parameters.victims is None and every_seed > 1
    matched = np.empty((every_seed, count, surrogates, len(test)), dtype=np.uint16)
    other_seed = np.empty((every_seed, count, 1, len(test)), dtype=np.uint16) if alike else None
    budget = []
    pairs = list(product(range(every_seed), range(surrogates)))
    for (seed, surrogate), record in zip(tqdm(pairs, desc="image sets"), records, strict=True):
        images = job.images(record, len(test))
        if record.kind == TAE.name:
            attack = ATTACKS.instance(parameters_of(record, TaeParameters).attack)
            budget.append(check_budget(images, test, attack, record.path))
        before = (seed - 1) % every_seed
        asked = [*victims[seed * count :][:count], *([victims[before * count + surrogate]] if alike else [])]
        predicted = accuracy.predict_each(asked, _as_victims_see(images, record.path, job)).cpu().numpy()
        matched[seed, :, surrogate] = predicted[:count]
        if other_seed is not None:
            other_seed[before, surrogate, 0] = predicted[count]
    return Answers(matched, other_seed, budget)


def _as_victims_see(images: torch.Tensor, path: str, job: Job[CellParameters]) -> Iterator[torch.Tensor]:
    """The batches of an image set after the cell's preprocessing, if it has one."""
    recipe, batch_size = job.parameters.preprocessing, job.parameters.batch_size
    preprocessing = PREPROCESSING.instance(recipe) if recipe else None
    image_seeds = seeds.image_seeds(job.spec.path, path, len(images))
    for first in range(0, len(images), batch_size):
        batch = to_float(images[first : first + batch_size])
        yield preprocessing.apply(batch, image_seeds[first : first + batch_size]) if preprocessing else batch


def _cell(
    job: Job[CellParameters],
    correct: NDArray[np.bool_],
    other_seed: NDArray[np.bool_] | None,
    bare: NDArray[np.bool_] | None,
    evidence: Evidence,
) -> Cell:
    given = job.parameters
    surrogates = [] if given.attack == CLEAN else given.networks
    victims = given.victims or given.networks
    return Cell(
        surrogate_paradigm=given.surrogates,
        attack=given.attack,
        column=given.column,
        victims=victims,
        surrogates=surrogates,
        seeds=given.seeds,
        images=correct.shape[-1],
        correct=correct.sum(axis=-1).tolist(),
        means={
            name: accuracy.pair_mean(hits, pairs, given.block)
            for name, hits, pairs in _selections(correct, other_seed, bare, victims, surrogates)
        },
        evidence=evidence,
    )


def _selections(
    correct: NDArray[np.bool_],
    other_seed: NDArray[np.bool_] | None,
    bare: NDArray[np.bool_] | None,
    victims: list[str],
    surrogates: list[str],
) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Names of means, and what each is over."""
    yield "all", correct, accuracy.all_pairs(*correct.shape[1:3])
    off_diagonal = accuracy.off_diagonal(victims, surrogates)
    if off_diagonal.any():
        yield "off_diagonal", correct, off_diagonal
    if other_seed is not None:
        yield "same_architecture", other_seed, accuracy.all_pairs(*other_seed.shape[1:3])
    if bare is not None:
        yield WITHOUT_TRIGGER, bare, accuracy.all_pairs(*bare.shape[1:3])
