"""TAE sets, and what purifiers make of them."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from tqdm import tqdm

from trigger_activation.plan.kinds import TAE
from trigger_activation.plan.recipes import ExcerptParameters, PurifiedParameters, TaeParameters
from trigger_activation.run.job import Job
from trigger_activation.run.stages._evidence import same_twice
from trigger_activation.run.stages._shared import check_budget, equipped
from trigger_activation.science import seeds
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks.engine import counting_passes
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.ensembles import Ensemble
from trigger_activation.science.evaluation.loss import loss_and_accuracy
from trigger_activation.science.images import largest_change, to_bytes, to_float
from trigger_activation.science.preprocessing import PREPROCESSING


def make_tae(job: Job[TaeParameters]) -> None:
    """Craft one TAE set on one surrogate, or on several as one."""
    given = job.parameters
    images, labels = job.labelled("test", given.images)
    surrogates = job.networks("surrogate")
    if given.without_trigger:
        surrogates = [DeployedNetwork(surrogate.network, None) for surrogate in surrogates]
    surrogate = surrogates[0] if len(surrogates) == 1 else Ensemble(surrogates)
    attack = equipped(ATTACKS, given.attack, job)
    generator = job.generator("attack")

    def crafted(chosen: slice) -> torch.Tensor:
        return attack.perturb(surrogate, to_float(images[chosen]), labels[chosen], generator)

    with counting_passes(surrogate) as passed:
        result, seconds = _batch_by_batch(job, crafted, passed, generator)
    check_budget(result, images.cpu(), attack, job.spec.path)
    checks = {
        **_crafting_checks(surrogate, images, result.to(job.device), labels, given.batch_size),
        "gradient_passes": sum(passed) / len(labels),
        "images_per_second": round(len(labels) / seconds, 3),
    }
    job.publish_taes(result, checks)


def make_excerpt(job: Job[ExcerptParameters]) -> None:
    """Cut off the first images of a TAE set, or of a data set with their labels."""
    (record,) = job.records("images")
    images = job.images(record, job.parameters.images).cpu()
    if record.kind == TAE.name:
        job.publish_taes(images, {})
    else:
        labels = job.arrays(record, "labels")["labels"][: len(images)]
        job.publish_arrays({"images": images.numpy(), "labels": labels}, {}, compressed=True)


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


def make_purified(job: Job[PurifiedParameters]) -> None:
    """Purify one image set, for all victims."""
    count = job.parameters.images
    (record,) = job.records("images")
    images = job.images(record, count)
    purifier = equipped(PREPROCESSING, job.parameters.purifier, job)
    image_seeds = seeds.image_seeds(job.spec.path, record.path, count)

    def purified(chosen: slice) -> torch.Tensor:
        return purifier.apply(to_float(images[chosen]), image_seeds[chosen])

    with torch.no_grad(), counting_passes(purifier.helper, gradients=False) as passed:
        result, seconds = _batch_by_batch(job, purified, passed)
    checks = {
        **({"same_twice": same_twice(purifier, images, job.spec.path)} if purifier.random else {}),
        "network_passes": sum(passed) / count,
        "images_per_second": round(count / seconds, 3),
        "mean_change": float((result.float() - images.cpu().float()).abs().mean()),
    }
    job.publish_arrays({"images": result.numpy()}, checks)


def _batch_by_batch(
    job: Job[TaeParameters] | Job[PurifiedParameters],
    change: Callable[[slice], torch.Tensor],
    passed: list[int],
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, float]:
    """Change an image set batch by batch, from where an interrupted job left off.

    Args:
        job: says how many images there are, and in batches of which size they are changed.
        change: which images -> what they become, floats (B, 3, H, W) in [0, 1].
        passed: sizes of the batches that a network has seen; what the interrupted job showed it is added.
        generator: what ``change`` draws from, if it does.

    Returns:
        uint8 (N, H, W, 3) on the CPU, and the seconds that it took.
    """
    count, batch_size = job.parameters.images, job.parameters.batch_size
    firsts = range(0, count, batch_size)
    done: list[torch.Tensor] = []
    earlier = 0.0
    if (saved := job.scratch.load()) is not None:
        done, earlier = saved["images"], saved["seconds"]
        passed.append(saved["passed"])
        if generator is not None:
            generator.set_state(saved["generator"])
    start = time.perf_counter() - earlier
    with tqdm(desc="batches", total=len(firsts), initial=len(done), mininterval=1) as bar:
        for first in firsts[len(done) :]:
            done.append(to_bytes(change(slice(first, first + batch_size))))
            bar.update()
            state = {"images": done, "passed": sum(passed), "seconds": time.perf_counter() - start}
            if generator is not None:
                state["generator"] = generator.get_state()
            job.scratch.save(state, f"batch {len(done)} of {len(firsts)}")
    result = torch.cat([batch.cpu() for batch in done])
    return result, time.perf_counter() - start
