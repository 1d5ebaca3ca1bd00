"""What cells observe for the sanity checks (see ``trigger_activation.science.sanity``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trigger_activation.plan.config.values import STANDARD
from trigger_activation.plan.kinds import PURIFIED, TAE
from trigger_activation.plan.recipes import CellParameters, DatasetParameters
from trigger_activation.run.job import Job, parameters_of
from trigger_activation.science import seeds
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.evaluation import accuracy
from trigger_activation.science.images import to_bytes, to_float
from trigger_activation.science.preprocessing import PREPROCESSING, Preprocessing
from trigger_activation.science.sanity import Evidence
from trigger_activation.store.records import Record

SAMPLE = 8
"""Images that a random defense treats twice; some are expensive."""
DECIMALS = 6


def same_twice(preprocessing: Preprocessing, images: Tensor, path: str) -> float:
    """Percent of some uint8 images (N, H, W, 3) of a set that two passes with other seeds leave the same."""
    sample = to_float(images[:SAMPLE])
    with torch.no_grad():
        first, second = (
            to_bytes(preprocessing.apply(sample, seeds.image_seeds(path, f"sanity check {number}", len(sample))))
            for number in (1, 2)
        )
    return round(100 * float((first == second).flatten(1).all(dim=1).double().mean()), DECIMALS)


def without_triggers(
    job: Job[CellParameters], victims: Sequence[DeployedNetwork], images: Tensor, labels: Tensor
) -> NDArray[np.bool_] | None:
    """Whether victims classify clean images correctly without their trigger: (seeds, T, 1, N).

    None where they have no trigger, or see the images behind a preprocessing.
    """
    if job.parameters.preprocessing or any(victim.trigger is None for victim in victims):
        return None
    bare = [DeployedNetwork(victim.network, None) for victim in victims]
    predicted = torch.stack([accuracy.predict(network, images, job.parameters.batch_size) for network in bare])
    correct: NDArray[np.bool_] = (predicted == labels).cpu().numpy()
    return correct.reshape(len(job.parameters.seeds), -1, 1, len(labels))


def of_clean_images(
    job: Job[CellParameters],
    record: Record,
    images: Tensor,
    correct: NDArray[np.bool_],
    bare: NDArray[np.bool_] | None,
) -> Evidence:
    """Of a cell that shows clean images.

    Args:
        job: of the cell.
        record: of the image set.
        images: uint8 (N, H, W, 3), as they are before preprocessing.
        correct: (seeds, T, 1, N).
        bare: the same without triggers (see :func:`without_triggers`).
    """
    if recipe := job.parameters.preprocessing:
        preprocessing = PREPROCESSING.instance(recipe)
        return {"randomness": [same_twice(preprocessing, images, record.path)]} if preprocessing.random else {}
    if record.kind == PURIFIED.name:
        return {"randomness": [record.checks["same_twice"]]} if "same_twice" in record.checks else {}
    logged = [victim.checks.get("training_accuracy") for victim in job.claimed_records("victims")]
    measured = 100 * correct.mean(axis=-1).ravel()
    gaps = [abs(log - own) for log, own in zip(logged, measured, strict=True) if log is not None]
    classes = parameters_of(record, DatasetParameters).classes
    right = [] if bare is None else 100 * bare.mean(axis=-1).ravel()
    return {
        "training_log": [round(float(gap), DECIMALS) for gap in gaps],
        "without_trigger": [round(float(share) - 100 / classes, DECIMALS) for share in right],
        "below_best": [round(float(measured.max() - own), DECIMALS) for own in measured],
        "guessing": [round(float((100 - own) / (1 - 1 / classes)), DECIMALS) for own in measured],
    }


def of_taes(
    job: Job[CellParameters], records: Sequence[Record], budget: Sequence[float], correct: NDArray[np.bool_]
) -> Evidence:
    """Of a cell that shows TAE sets; purified ones tell nothing of the attack.

    Args:
        job: of the cell.
        records: of the image sets.
        budget: largest change in each TAE set in percent of eps.
        correct: (seeds, T, S, N).
    """
    evidence = {"budget": [round(value, DECIMALS) for value in budget]}
    if job.parameters.surrogates == STANDARD and job.parameters.preprocessing is None:
        own = correct.reshape(-1, *correct.shape[2:])  # (seeds x T, S, N)
        victims = [reference.path for reference in job.spec.inputs["victims"]]
        evidence["white_box"] = [
            round(100 * float(own[victims.index(path), number % own.shape[1]].mean()), DECIMALS)
            for number, record in enumerate(records)
            for path in record.inputs
            if record.kind == TAE.name and path in victims
        ]
    return evidence
