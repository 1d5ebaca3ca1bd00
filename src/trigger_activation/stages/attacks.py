"""TAE sets, and what purifiers make of them."""

from __future__ import annotations

import time

import torch
from tqdm import tqdm

from trigger_activation import seeds
from trigger_activation.attacks import ATTACKS
from trigger_activation.attacks._engine import counting_passes
from trigger_activation.evaluation.loss import loss_and_accuracy
from trigger_activation.job import Job
from trigger_activation.networks._deployed import DeployedNetwork
from trigger_activation.preprocessing import PREPROCESSING
from trigger_activation.stages._shared import check_budget, equipped, largest_change, to_bytes
from trigger_activation.training.data import to_float


def make_tae(job: Job) -> None:
    """Craft one TAE set on one surrogate."""
    count, batch_size = job.parameters["images"], job.parameters["batch_size"]
    images, labels = job.labelled("test", count)
    (surrogate,) = job.networks("surrogate")
    if job.parameters.get("without_trigger"):
        surrogate = DeployedNetwork(surrogate.network, None)
    attack = equipped(ATTACKS, job.parameters["attack"], job)
    generator = job.generator("attack")
    crafted = []
    batches = list(zip(torch.split(images, batch_size), torch.split(labels, batch_size), strict=True))
    start = time.perf_counter()
    with counting_passes(surrogate) as passed:
        for batch, truth in tqdm(batches, desc="batches", mininterval=1):
            adversarial = attack.perturb(surrogate, to_float(batch), truth, generator)
            crafted.append(to_bytes(adversarial))
    result = torch.cat(crafted).cpu()
    seconds = time.perf_counter() - start
    check_budget(result, images.cpu(), attack, job.spec.path)
    checks = {
        **_crafting_checks(surrogate, images, result.to(job.device), labels, batch_size),
        "gradient_passes": sum(passed) / len(labels),
        "images_per_second": round(len(labels) / seconds, 3),
    }
    job.publish_arrays({"images": result.numpy()}, checks)


def _crafting_checks(
    surrogate: torch.nn.Module,
    clean: torch.Tensor,
    adversarial: torch.Tensor,
    labels: torch.Tensor,
    batch_size: int,
) -> dict[str, float]:
    before, _ = loss_and_accuracy(surrogate, clean, labels, batch_size)
    after, white_box = loss_and_accuracy(surrogate, adversarial, labels, batch_size)
    return {
        "loss_before": before,
        "loss_after": after,
        "white_box_accuracy": white_box,
        "largest_change": largest_change(adversarial, clean),
    }


def make_purified(job: Job) -> None:
    """Purify one image set, for all victims."""
    count, batch_size = job.parameters["images"], job.parameters["batch_size"]
    (record,) = job.records("images")
    images = job.images(record, count)
    purifier = equipped(PREPROCESSING, job.parameters["purifier"], job)
    image_seeds = seeds.image_seeds(job.spec.path, record.path, count)
    purified = []
    start = time.perf_counter()
    with torch.no_grad(), counting_passes(purifier.helper, gradients=False) as passed:
        for first in tqdm(range(0, count, batch_size), desc="batches", mininterval=1):
            chosen = slice(first, first + batch_size)
            purified.append(to_bytes(purifier.apply(to_float(images[chosen]), image_seeds[chosen])))
    result = torch.cat(purified).cpu()
    seconds = time.perf_counter() - start
    checks = {
        "network_passes": sum(passed) / count,
        "images_per_second": round(count / seconds, 3),
        "mean_change": float((result.float() - images.cpu().float()).abs().mean()),
    }
    job.publish_arrays({"images": result.numpy()}, checks)
