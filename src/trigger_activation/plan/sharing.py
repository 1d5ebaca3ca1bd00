"""What the DVC remote inside the repository holds; another remote takes everything.

This is the one place that chooses. Git keeps what was ever published, so it is little: what lets a reader make the
first tables again without training, and judge a model of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trigger_activation.plan.config.schema import Config
from trigger_activation.plan.config.values import STANDARD
from trigger_activation.plan.graph import Artifact, Plan
from trigger_activation.plan.kinds import CELL, CHECKPOINT, DATASET, ENSEMBLE, EXCERPT, IMPORTED, TAE

LIMIT = 100 * 2**20
"""Bytes that the remote inside the repository may hold."""
TABLES = ("table1", "table8")
"""Whose networks it holds, of all seeds."""
CONTROL = "noise_augmentation"
"""The class of the paradigm whose networks it holds too, whatever table shows them."""
SEED = "0"
"""Of the undefended surrogates whose TAE sets it holds."""
IMAGES = 1000
"""The most images of each of these; larger ones have an excerpt, and so have their test images."""
NETWORKS = (CHECKPOINT.name, ENSEMBLE.name, IMPORTED.name)


def in_repository(config: Config, plan: Plan, experiments: Iterable[str]) -> set[str]:
    """The files of some experiments that the remote inside the repository holds.

    Predictions of all cells; unless it is a second run, the networks of :data:`TABLES` and of the control as well, and
    the first images of the TAE sets that judge any model and of the test images that these start from.
    """
    return {file for experiment in experiments for file in _of_experiment(config, plan, experiment)}


def _of_experiment(config: Config, plan: Plan, experiment: str) -> Iterator[str]:
    everything = plan.of_experiment(experiment)
    for each in everything:
        if each.kind is CELL:
            yield from each.by_products
    if config.experiments[experiment].replicates is None:
        shown = [path for name, path in plan.targets[experiment].items() if name in TABLES]
        networks = {each.path for each in plan.upstream(shown) if each.kind.name in NETWORKS}
        in_part = {path for each in everything if each.kind.name == EXCERPT.name for path in each.inputs["images"]}
        for each in everything:
            judging = _is_for_judging(each) and each.path not in in_part
            if each.path in networks or _is_control(config, each) or judging:
                yield each.path


def _is_control(config: Config, artifact: Artifact) -> bool:
    paradigm = artifact.names.get("paradigm") if artifact.kind is CHECKPOINT else None
    return paradigm is not None and config.paradigms[paradigm].class_ == CONTROL


def _is_for_judging(artifact: Artifact) -> bool:
    """Whether it is an excerpt, or what would have one if it were large."""
    if artifact.kind is TAE:
        return judges(artifact)
    return artifact.kind.name == EXCERPT.name or (artifact.kind is DATASET and artifact.names["split"] == "test")


def judges(tae: Artifact) -> bool:
    """Whether any model may be judged by a TAE set: what it was crafted on is undefended, and of the first seed."""
    return tae.names["paradigm"] == STANDARD and tae.names["seed"] == SEED


def is_large(tae: Artifact) -> bool:
    """Whether a TAE set has more images than the remote inside the repository takes."""
    return bool(tae.parameters.images > IMAGES)
