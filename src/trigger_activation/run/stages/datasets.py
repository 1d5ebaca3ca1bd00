"""Data sets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tqdm import tqdm

from trigger_activation.errors import UserError
from trigger_activation.plan.kinds import EXTERNAL
from trigger_activation.plan.recipes import DatasetParameters
from trigger_activation.run.job import Job
from trigger_activation.science.datasets import DATASETS, ImageStream


def make_dataset(job: Job[DatasetParameters]) -> None:
    """Prepare one split of a data set."""
    expected = job.parameters
    source = DATASETS.instance(expected.source)
    data = source.load(expected.split, EXTERNAL)
    side = source.stored_size(expected.split) or expected.image_size
    shape = (side, side, 3)
    if data.images.shape[1:] != shape or set(np.unique(data.labels)) != set(range(expected.classes)):
        raise UserError(
            f"{job.spec.path}: the source has images of {data.images.shape[1:]} and {len(np.unique(data.labels))} "
            f"classes, but config/datasets declares {shape} and {expected.classes}: correct the declaration"
        )
    per_class = np.bincount(data.labels)
    checks = {"images": len(data.labels), "per_class": [int(per_class.min()), int(per_class.max())]}
    images = data.images
    if isinstance(images, ImageStream):
        images = replace(images, images=tqdm(images.images, "images", total=len(data.labels), mininterval=1))
    job.publish_arrays({"images": images, "labels": data.labels}, checks)
