"""What defended networks cost, and what white-box attacks leave of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from tqdm import tqdm

from trigger_activation.plan.config.schema import STANDARD
from trigger_activation.run.job import Job
from trigger_activation.run.stages._shared import bootstrap_weights, equipped
from trigger_activation.science import seeds
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.evaluation import accuracy, white_box
from trigger_activation.science.evaluation.timing import time_batches
from trigger_activation.science.images import to_float
from trigger_activation.science.preprocessing import PREPROCESSING, Preprocessing
from trigger_activation.store.records import Record


def make_whitebox(job: Job) -> None:
    """Attack every victim of one paradigm through its own gradients."""
    given = job.parameters
    images, labels = job.labelled("test", given["images"])
    attack = ATTACKS.instance(given["attack"])
    effort = {key: given[key] for key in ("batch_size", "iterations", "queries")}
    paths = [reference.path for reference in job.spec.inputs["victims"]]
    victims = job.networks("victims")
    robust: list[dict[str, torch.Tensor]] = (job.scratch.load() or {"victims": []})["victims"]
    for path, victim in tqdm(list(zip(paths, victims, strict=True))[len(robust) :], desc="victims"):
        found = white_box.robustness(victim, attack, images, labels, generator=job.generator(path), **effort)
        robust.append({name: withstood.cpu() for name, withstood in found.items()})
        job.scratch.save({"victims": robust}, f"victim {len(robust)} of {len(paths)}")
    # each (seeds, T, 1, N)
    shape = len(given["seeds"]), len(given["networks"]), 1, len(labels)
    correct = {name: torch.stack([r[name] for r in robust]).reshape(shape).numpy() for name in robust[0]}
    weights, every = bootstrap_weights(job, len(labels)), accuracy.all_pairs(*shape[1:3])
    accuracies = {name: 100 * hits.mean(axis=-1).ravel() for name, hits in correct.items()}
    evidence = {"single_step": accuracies["pgd"] - accuracies["single_step"]}
    if given["paradigm"] == STANDARD:
        evidence["white_box"] = accuracies["pgd"]
    content = {"paradigm": given["paradigm"], "victims": given["networks"], "seeds": given["seeds"]}
    job.publish_json(
        {
            **content,
            "images": len(labels),
            "correct": {name: hits.sum(axis=(2, 3)).tolist() for name, hits in correct.items()},
            "means": {name: accuracy.pair_mean(hits, every, weights).rounded() for name, hits in correct.items()},
            "evidence": {check: values.round(6).tolist() for check, values in evidence.items()},
        }
    )


def make_cost(job: Job) -> None:
    """Time one defended network, and read from its checkpoint's record how long it trained."""
    given = job.parameters
    (victim,) = job.networks("victim")
    (record,) = job.records("victim")
    helper = job.helper()
    preprocessing = equipped(PREPROCESSING, given["preprocessing"], job) if given["preprocessing"] else None
    timings = []
    for size in tqdm(given["batch_sizes"], desc="batch sizes"):
        images, _ = job.labelled("test", size)
        classify = victim if preprocessing is None else _after(preprocessing, victim, job, size)
        timing = time_batches(classify, to_float(images), given["warm_up"], given["batches"], given["limit_seconds"])
        timings.append({"batch_size": size, **asdict(timing)})
    content = {
        "column": given["column"],
        "network": given["network"],
        "device": job.device_name,
        "threads": given["threads"],
        "timings": timings,
        "training": _training_time(record),
        "helper_parameters": sum(p.numel() for p in helper.parameters()) if helper is not None else 0,
    }
    job.publish_json(content)


def _training_time(record: Record) -> dict[str, Any]:
    """Wall time on a GPU; on a CPU, which other jobs share, its own time divided among the threads."""
    environment = record.environment or {}
    gpu = environment.get("gpu", False)
    seconds = environment["seconds"] if gpu else environment["cpu_seconds"] / record.parameters["threads"]
    return {"seconds": round(seconds, 3), "clock": "wall" if gpu else "cpu", "device": environment["device"]}


def _after(
    preprocessing: Preprocessing, victim: torch.nn.Module, job: Job, size: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The victim behind a preprocessing, for batches of one size."""
    image_seeds = seeds.image_seeds(job.spec.path, "batch", size)

    def classify(batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = victim(preprocessing.apply(batch, image_seeds))
        return logits

    return classify
