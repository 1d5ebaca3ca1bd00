"""Table cells."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from trigger_activation.plan.config.schema import CLEAN
from trigger_activation.plan.contents import Cell
from trigger_activation.plan.kinds import TAE
from trigger_activation.plan.recipes import CellParameters, TaeParameters
from trigger_activation.run.job import Job, parameters_of
from trigger_activation.run.stages._evidence import of_clean_images, of_taes
from trigger_activation.run.stages._shared import bootstrap_weights, check_budget
from trigger_activation.science import seeds
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.evaluation import accuracy
from trigger_activation.science.images import to_float
from trigger_activation.science.preprocessing import PREPROCESSING
from trigger_activation.science.sanity import Evidence


def make_cell(job: Job[CellParameters]) -> None:
    """Evaluate every victim on every image set of one cell."""
    given = job.parameters
    test, labels = job.labelled("test", given.images)
    victims = job.networks("victims")
    records = job.records("images")
    predicted, budget = [], []
    for record in tqdm(records, desc="image sets"):
        images = job.images(record, given.images)
        if record.kind == TAE.name:
            attack = ATTACKS.instance(parameters_of(record, TaeParameters).attack)
            budget.append(check_budget(images, test, attack, record.path))
        predicted.append(accuracy.predict_each(victims, _as_victims_see(images, record.path, job)))
    # (S, seeds x T, N) -> (seeds, T, S, N)
    classes = torch.stack(predicted).cpu().numpy()
    classes = classes.reshape(len(predicted), len(given.seeds), -1, len(labels)).transpose(1, 2, 0, 3)
    correct = classes == labels.cpu().numpy()
    if given.attack == CLEAN:
        evidence = of_clean_images(job, records[0], victims, test, labels, correct)
    else:
        evidence = of_taes(job, records, budget, correct)
    job.publish_by_product({"classes": classes.astype(np.uint16)})
    job.publish_json(_cell(job, correct, evidence))


def _as_victims_see(images: torch.Tensor, path: str, job: Job[CellParameters]) -> Iterator[torch.Tensor]:
    """The batches of an image set after the cell's preprocessing, if it has one."""
    recipe, batch_size = job.parameters.preprocessing, job.parameters.batch_size
    preprocessing = PREPROCESSING.instance(recipe) if recipe else None
    image_seeds = seeds.image_seeds(job.spec.path, path, len(images))
    for first in range(0, len(images), batch_size):
        batch = to_float(images[first : first + batch_size])
        yield preprocessing.apply(batch, image_seeds[first : first + batch_size]) if preprocessing else batch


def _cell(job: Job[CellParameters], correct: NDArray[np.bool_], evidence: Evidence) -> Cell:
    given = job.parameters
    surrogates = [] if given.surrogates == CLEAN else given.networks
    victims = given.victims or given.networks
    weights = bootstrap_weights(job, correct.shape[-1])
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
            name: accuracy.pair_mean(hits, pairs, weights).rounded()
            for name, hits, pairs in _selections(correct, victims, surrogates)
        },
        evidence=evidence,
    )


def _selections(
    correct: NDArray[np.bool_], victims: list[str], surrogates: list[str]
) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Names of means, and the victim seeds and pairs that each is over.

    The diagonal of the first seed is left to "all": there the victim may be the surrogate itself.
    """
    yield "all", correct, accuracy.all_pairs(*correct.shape[1:3])
    off_diagonal = accuracy.off_diagonal(victims, surrogates)
    if off_diagonal.any():
        yield "off_diagonal", correct, off_diagonal
    if surrogates and len(correct) > 1 and not off_diagonal.all():
        yield "same_architecture", correct[1:], ~off_diagonal
