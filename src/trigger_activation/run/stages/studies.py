"""Stages that study triggers: their magnitude, flipped entries, examples, and what the theorems say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from tqdm import tqdm

from trigger_activation.errors import UserError
from trigger_activation.parameters import parse_fraction
from trigger_activation.run.job import Job
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.evaluation import accuracy, concept, theory, triggers
from trigger_activation.science.evaluation.loss import loss_and_accuracy
from trigger_activation.science.images import to_float
from trigger_activation.store.pictures import encode_png


def make_trigger(job: Job) -> None:
    """Measure and picture the triggers of one paradigm."""
    names = [(seed, network) for seed in job.parameters["seeds"] for network in job.parameters["networks"]]
    measured = [
        {
            "network": name,
            "seed": seed,
            "mean_square": triggers.mean_square(trigger),
            "largest": float(trigger.abs().max()),
            "picture": _png(triggers.as_picture(trigger)),
        }
        for (seed, name), (_, trigger) in zip(names, _with_triggers(job, "checkpoints"), strict=True)
    ]
    job.publish_json({"paradigm": job.parameters["paradigm"], "triggers": measured})


def make_flip(job: Job) -> None:
    """Measure accuracy and loss while entries of the trigger are flipped."""
    given = job.parameters
    images, labels = job.labelled("test", given["images"])
    ((network, trigger),) = _with_triggers(job, "victim")
    generator = job.generator("masks")
    points = [
        triggers.flip_point(network, trigger, images, labels, fraction, given["masks"], given["batch_size"], generator)
        for fraction in tqdm(given["fractions"], desc="fractions")
    ]
    content = {"paradigm": given["paradigm"], "network": given["network"], "images": len(labels)}
    job.publish_json({**content, "points": [asdict(point) for point in points]})


def make_concept(job: Job) -> None:
    """Choose examples, picture them, and ask both networks about them."""
    given = job.parameters
    clean, labels = job.labelled("test", given["images"])
    (record,) = job.records("adversarial")
    adversarial = job.images(record, given["images"])
    (undefended,) = job.networks("undefended")
    before, after = (accuracy.predict(undefended, images, given["batch_size"]) for images in (clean, adversarial))
    chosen = concept.choose_examples(labels, before, after, given["examples"])
    ((network, trigger),) = _with_triggers(job, "victim")
    pictures, answers = _shown(undefended, network, trigger, to_float(clean[chosen]), to_float(adversarial[chosen]))
    content = {
        **{key: given[key] for key in ("paradigm", "network", "surrogate", "attack", "images")},
        "fooled": int(concept.fooled(labels, before, after).sum()),
        "trigger": _png(concept.amplified(trigger)),
        "examples": [
            {
                "position": position,
                "label": int(labels[position]),
                "pictures": {name: _png(images[index]) for name, images in pictures.items()},
                "probabilities": {
                    name: {asked: _rounded(rows[index].tolist()) for asked, rows in by_network.items()}
                    for name, by_network in answers.items()
                },
            }
            for index, position in enumerate(chosen)
        ],
    }
    job.publish_json(content)


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


def make_theory(job: Job) -> None:
    """Measure what the theorems assume and conclude on the networks of one paradigm."""
    given = job.parameters
    sets = {split: job.labelled(split, given["images"]) for split in ("train", "test")}
    adversarial = [job.images(record, given["images"]) for record in job.records("adversarial")]
    networks = tqdm(_with_triggers(job, "victims"), desc="networks")
    measured = [
        {
            "network": name,
            "trigger_eps": float(trigger.abs().max()),
            "entries": trigger.numel(),
            **{
                split: asdict(theory.first_order(network, trigger, images, labels, given["batch_size"]))
                for split, (images, labels) in sets.items()
            },
            **_attacked(network, trigger, *sets["test"], adversarial, given),
        }
        for name, (network, trigger) in zip(given["networks"], networks, strict=True)
    ]
    content = {key: given[key] for key in ("paradigm", "attack", "eps", "classes", "images")}
    job.publish_json({**content, "networks": _rounded(measured)})


def _attacked(
    network: torch.nn.Module,
    trigger: torch.Tensor,
    images: torch.Tensor,
    labels: torch.Tensor,
    adversarial: Sequence[torch.Tensor],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Theorem 2: the loss of f_t under perturbations of size eps, and its bound."""
    eps = float(parse_fraction(given["eps"]))

    def loss(shift: torch.Tensor, images: torch.Tensor) -> float:
        return loss_and_accuracy(DeployedNetwork(network, shift), images, labels, given["batch_size"])[0]

    return {
        "transferred_loss": {
            surrogate: loss(trigger, crafted) for surrogate, crafted in zip(given["networks"], adversarial, strict=True)
        },
        "worst_case_loss": loss(trigger + theory.worst_case(trigger, eps), images),
        "loss_bound": theory.loss_bound(eps, float(trigger.abs().max()), given["classes"]),
    }


def _with_triggers(job: Job, role: str) -> list[tuple[torch.nn.Module, torch.Tensor]]:
    """The networks f of a role, each with its trigger."""
    pairs = []
    for deployed in job.networks(role):
        if deployed.trigger is None:
            raise UserError(
                f"{job.spec.path}: {job.parameters['paradigm']} networks have no trigger: choose a trigger paradigm"
            )
        pairs.append((deployed.network, deployed.trigger))
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
