"""Studies: triggers, flipped triggers, examples, the theorems, what defenses cost, white-box attacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from tqdm import tqdm

from trigger_activation.errors import UserError
from trigger_activation.parameters import parse_fraction
from trigger_activation.plan.config.values import STANDARD
from trigger_activation.plan.contents import (
    BatchTiming,
    ConceptStudy,
    CostStudy,
    Example,
    FlipStudy,
    MeasuredTrigger,
    NetworkTheory,
    TheoryStudy,
    TrainingTime,
    TriggerStudy,
    WhiteBoxStudy,
)
from trigger_activation.plan.recipes import (
    CheckpointParameters,
    ConceptParameters,
    CostParameters,
    FlipParameters,
    TheoryParameters,
    TriggerParameters,
    WhiteBoxParameters,
)
from trigger_activation.run.job import Job, parameters_of
from trigger_activation.run.stages._shared import equipped
from trigger_activation.science import seeds
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.evaluation import accuracy, concept, theory, triggers, white_box
from trigger_activation.science.evaluation.loss import loss_and_accuracy
from trigger_activation.science.evaluation.timing import time_batches
from trigger_activation.science.images import to_float
from trigger_activation.science.preprocessing import PREPROCESSING, Preprocessing
from trigger_activation.store.pictures import encode_png
from trigger_activation.store.records import Record


def make_trigger(job: Job[TriggerParameters]) -> None:
    """Measure and picture the triggers of one paradigm."""
    given = job.parameters
    names = [(seed, network) for seed in given.seeds for network in given.networks]
    measured = [
        MeasuredTrigger(
            network=name,
            seed=seed,
            mean_square=triggers.mean_square(trigger),
            largest=float(trigger.abs().max()),
            picture=_png(triggers.as_picture(trigger)),
        )
        for (seed, name), (_, trigger) in zip(names, _with_triggers(job, "checkpoints"), strict=True)
    ]
    job.publish_json(TriggerStudy(paradigm=given.paradigm, triggers=measured))


def make_flip(job: Job[FlipParameters]) -> None:
    """Measure accuracy and loss while entries of the trigger are flipped."""
    given = job.parameters
    images, labels = job.labelled("test", given.images)
    ((network, trigger),) = _with_triggers(job, "victim")
    generator = job.generator("masks")
    points = [
        triggers.flip_point(network, trigger, images, labels, fraction, given.masks, given.batch_size, generator)
        for fraction in tqdm(given.fractions, desc="fractions")
    ]
    study = FlipStudy(paradigm=given.paradigm, network=given.network, images=len(labels), points=points)
    job.publish_json(study)


def make_concept(job: Job[ConceptParameters]) -> None:
    """Choose examples, picture them, and ask both networks about them."""
    given = job.parameters
    clean, labels = job.labelled("test", given.images)
    (record,) = job.records("adversarial")
    adversarial = job.images(record, given.images)
    (undefended,) = job.networks("undefended")
    before, after = (accuracy.predict(undefended, images, given.batch_size) for images in (clean, adversarial))
    chosen = concept.choose_examples(labels, before, after, given.examples)
    ((network, trigger),) = _with_triggers(job, "victim")
    fooled = concept.fooled(labels, before, after)
    (deployed,) = job.networks("victim")
    kept = accuracy.predict(deployed, adversarial, given.batch_size) == labels
    pictures, answers = _shown(undefended, network, trigger, to_float(clean[chosen]), to_float(adversarial[chosen]))
    examples = [
        Example(
            position=position,
            label=int(labels[position]),
            pictures={name: _png(images[index]) for name, images in pictures.items()},
            probabilities={
                name: {asked: _rounded(rows[index].tolist()) for asked, rows in by_network.items()}
                for name, by_network in answers.items()
            },
        )
        for index, position in enumerate(chosen)
    ]
    study = ConceptStudy(
        paradigm=given.paradigm,
        network=given.network,
        surrogate=given.surrogate,
        attack=given.attack,
        images=given.images,
        fooled=int(fooled.sum()),
        kept=int((fooled & kept).sum()),
        trigger=_png(concept.amplified(trigger)),
        examples=examples,
    )
    job.publish_json(study)


def _shown(
    undefended: torch.nn.Module,
    network: torch.nn.Module,
    trigger: torch.Tensor,
    clean: torch.Tensor,
    adversarial: torch.Tensor,
) -> tuple[dict[str, list[torch.Tensor]], dict[str, dict[str, torch.Tensor]]]:
    """Pictures by name, and class probabilities by name of the input and of the network.

    Triggered inputs are the network's own affair: the undefended one never sees them.
    """
    unchanged = {"clean": clean, "adversarial": adversarial}
    inputs = {**unchanged, **{f"{name}_triggered": images + trigger for name, images in unchanged.items()}}
    pictures = {name: [concept.as_picture(image) for image in images] for name, images in inputs.items()}
    pictures["perturbation"] = [concept.amplified(delta) for delta in adversarial - clean]
    answers = {name: {"with_trigger": concept.probabilities(network, images)} for name, images in inputs.items()}
    for name, images in unchanged.items():
        answers[name]["undefended"] = concept.probabilities(undefended, images)
    return pictures, answers


def make_theory(job: Job[TheoryParameters]) -> None:
    """Measure what the theorems assume and conclude on the networks of one paradigm."""
    given = job.parameters
    sets = {split: job.labelled(split, given.images) for split in ("train", "test")}
    adversarial = [job.images(record, given.images) for record in job.records("adversarial")]
    networks = tqdm(_with_triggers(job, "victims"), desc="networks")
    measured = [
        {
            "network": name,
            "trigger_eps": float(trigger.abs().max()),
            "entries": trigger.numel(),
            **{
                split: theory.first_order(network, trigger, images, labels, given.batch_size).model_dump()
                for split, (images, labels) in sets.items()
            },
            **_attacked(network, trigger, *sets["test"], adversarial, given),
        }
        for name, (network, trigger) in zip(given.networks, networks, strict=True)
    ]
    study = TheoryStudy(
        paradigm=given.paradigm,
        attack=given.attack,
        eps=given.eps,
        classes=given.classes,
        images=given.images,
        networks=[NetworkTheory(**_rounded(network)) for network in measured],
    )
    job.publish_json(study)


def _attacked(
    network: torch.nn.Module,
    trigger: torch.Tensor,
    images: torch.Tensor,
    labels: torch.Tensor,
    adversarial: Sequence[torch.Tensor],
    given: TheoryParameters,
) -> dict[str, Any]:
    """Theorem 2: the loss of f_t under perturbations of size eps, and its bound."""
    eps = float(parse_fraction(given.eps))

    def loss(shift: torch.Tensor, images: torch.Tensor) -> float:
        return loss_and_accuracy(DeployedNetwork(network, shift), images, labels, given.batch_size)[0]

    return {
        "transferred_loss": {
            surrogate: loss(trigger, crafted) for surrogate, crafted in zip(given.networks, adversarial, strict=True)
        },
        "worst_case_loss": loss(trigger + theory.worst_case(trigger, eps), images),
        "loss_bound": theory.loss_bound(eps, float(trigger.abs().max()), given.classes),
    }


def make_whitebox(job: Job[WhiteBoxParameters]) -> None:
    """Attack every victim of one paradigm through its own gradients."""
    given = job.parameters
    images, labels = job.labelled("test", given.images)
    attack = ATTACKS.instance(given.attack)
    effort = {"batch_size": given.batch_size, "iterations": given.iterations, "queries": given.queries}
    paths = [reference.path for reference in job.spec.inputs["victims"]]
    victims = job.networks("victims")
    robust: list[dict[str, torch.Tensor]] = (job.scratch.load() or {"victims": []})["victims"]
    for path, victim in tqdm(list(zip(paths, victims, strict=True))[len(robust) :], desc="victims"):
        found = white_box.robustness(victim, attack, images, labels, generator=job.generator(path), **effort)
        robust.append({name: withstood.cpu() for name, withstood in found.items()})
        job.scratch.save({"victims": robust}, f"victim {len(robust)} of {len(paths)}")
    # each (seeds, T, 1, N)
    shape = len(given.seeds), len(given.networks), 1, len(labels)
    correct = {name: torch.stack([r[name] for r in robust]).reshape(shape).numpy() for name in robust[0]}
    every = accuracy.all_pairs(*shape[1:3])
    accuracies = {name: 100 * hits.mean(axis=-1).ravel() for name, hits in correct.items()}
    evidence = {"single_step": accuracies["pgd"] - accuracies["single_step"]}
    if given.paradigm == STANDARD:
        evidence["white_box"] = accuracies["pgd"]
    study = WhiteBoxStudy(
        paradigm=given.paradigm,
        victims=given.networks,
        seeds=given.seeds,
        images=len(labels),
        correct={name: hits.sum(axis=(2, 3)).tolist() for name, hits in correct.items()},
        means={name: accuracy.pair_mean(hits, every, given.block) for name, hits in correct.items()},
        evidence={check: values.round(6).tolist() for check, values in evidence.items()},
    )
    job.publish_json(study)


def make_cost(job: Job[CostParameters]) -> None:
    """Time one defended network, and read from its checkpoint's record how long it trained."""
    given = job.parameters
    (victim,) = job.networks("victim")
    (record,) = job.records("victim")
    helper = job.helper()
    preprocessing = equipped(PREPROCESSING, given.preprocessing, job) if given.preprocessing else None
    timings = []
    for size in tqdm(given.batch_sizes, desc="batch sizes"):
        images, _ = job.labelled("test", size)
        classify = victim if preprocessing is None else _after(preprocessing, victim, job, size)
        timing = time_batches(
            classify, to_float(images), given.warm_up, given.batches, given.repeats, given.limit_seconds
        )
        timings.append(BatchTiming(batch_size=size, **asdict(timing)))
    study = CostStudy(
        column=given.column,
        network=given.network,
        device=job.device_name,
        threads=given.threads,
        timings=timings,
        training=_training_time(record),
        helper_parameters=sum(p.numel() for p in helper.parameters()) if helper is not None else 0,
    )
    job.publish_json(study)


def _training_time(record: Record) -> TrainingTime:
    """Wall time on a GPU; on a CPU, which other jobs share, its own time divided among the threads."""
    took = record.environment
    if took is None:
        raise UserError(f"{record.path} does not say how long it took: delete it and run again")
    seconds = took.seconds if took.gpu else took.cpu_seconds / parameters_of(record, CheckpointParameters).threads
    return TrainingTime(seconds=round(seconds, 3), clock="wall" if took.gpu else "cpu", device=took.device)


def _after(
    preprocessing: Preprocessing, victim: torch.nn.Module, job: Job[CostParameters], size: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The victim behind a preprocessing, for batches of one size."""
    image_seeds = seeds.image_seeds(job.spec.path, "batch", size)

    def classify(batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = victim(preprocessing.apply(batch, image_seeds))
        return logits

    return classify


def _with_triggers(job: Job[Any], role: str) -> list[tuple[torch.nn.Module, torch.Tensor]]:
    """The networks of a role that classify sums of images and triggers, each with its trigger."""
    pairs = []
    for deployed in job.networks(role):
        if deployed.trigger is None:
            raise UserError(
                f"{job.spec.path}: {job.parameters.paradigm} networks have no trigger: choose a trigger paradigm"
            )
        pairs.append((deployed.of_sums(), deployed.trigger))
    return pairs


def _rounded(value: Any) -> Any:
    """The same with every number rounded to 1e-9, below what float32 resolves."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 9) if isinstance(value, float) else value


def _png(picture: torch.Tensor) -> str:
    return encode_png(picture.cpu().numpy())
