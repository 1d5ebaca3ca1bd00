"""One function per rule: read inputs, call science, write outputs and provenance."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from trigger_activation import seeds
from trigger_activation.attacks import ATTACKS, Attack
from trigger_activation.attacks._engine import counting_passes
from trigger_activation.datasets import DATASETS
from trigger_activation.errors import UserError
from trigger_activation.evaluation import accuracy, triggers, white_box
from trigger_activation.figures import draw
from trigger_activation.helpers import HELPERS, ImportedHelper, TrainedHelper
from trigger_activation.job import Job
from trigger_activation.lazy import functional
from trigger_activation.networks._deployed import DeployedNetwork
from trigger_activation.preprocessing import PREPROCESSING
from trigger_activation.registry import P, Registry
from trigger_activation.storage.atomic import replacing, write_text
from trigger_activation.storage.checkpoints import build_helper, build_network, save_checkpoint
from trigger_activation.storage.external import read_state
from trigger_activation.tables import render
from trigger_activation.training.data import to_float
from trigger_activation.training.loop import EpochReport, Streams, train
from trigger_activation.training.paradigms import PARADIGMS
from trigger_activation.training.settings import TrainingSettings


def instance(registry: Registry[P], parameters: Mapping[str, Any]) -> P:
    """The registered class that a recipe names, with its parameters."""
    arguments = dict(parameters)
    return registry[arguments.pop("class")](**arguments)


def make_dataset(job: Job) -> None:
    """Prepare one split of a data set."""
    expected = job.parameters
    source = instance(DATASETS, expected["source"])
    data = source.load(expected["split"])
    shape = (expected["image_size"], expected["image_size"], 3)
    if data.images.shape[1:] != shape or set(np.unique(data.labels)) != set(range(expected["classes"])):
        raise UserError(
            f"{job.spec.path}: the source has images of {data.images.shape[1:]} and {len(np.unique(data.labels))} "
            f"classes, but config/datasets declares {shape} and {expected['classes']}: correct the declaration"
        )
    per_class = np.bincount(data.labels)
    checks = {"images": len(data.labels), "per_class": [int(per_class.min()), int(per_class.max())]}
    job.publish_arrays({"images": data.images, "labels": data.labels}, checks)


def make_checkpoint(job: Job) -> None:
    """Train a network."""
    images, labels = job.labelled("train", job.parameters["images"])
    description = {key: job.parameters[key] for key in ("network", "image_size", "classes")}
    torch.manual_seed(seeds.derive_seed(job.spec.path, "initialisation"))
    network = build_network(description).to(job.device)
    settings = TrainingSettings.model_validate(job.parameters["training"])
    paradigm = instance(PARADIGMS, job.parameters["paradigm"])
    streams = Streams(*(job.generator(name) for name in Streams.__dataclass_fields__))
    losses: list[float] = []
    with tqdm(total=settings.epochs, desc="epochs", mininterval=1) as bar:

        def report(epoch: EpochReport) -> None:
            losses.append(epoch.loss)
            bar.set_postfix(loss=epoch.loss)
            bar.update()

        trigger = train(network, paradigm, images, labels, settings, streams, report)
    job.begin_writing()
    save_checkpoint(Path(job.spec.path), network, trigger, description)
    job.publish_record({"losses": losses, **_training_accuracy(network, trigger, images, labels)})


def _training_accuracy(
    network: torch.nn.Module, trigger: torch.Tensor | None, images: torch.Tensor, labels: torch.Tensor
) -> dict[str, float]:
    """Accuracy of f_t, and of f without its trigger, on the first training images."""
    images, labels = images[:2000], labels[:2000]
    network.eval()
    checks = {}
    for name, tau in {"training_accuracy": trigger, "training_accuracy_without_trigger": None}.items():
        predicted = accuracy.predict(DeployedNetwork(network, tau), images, 500)
        checks[name] = 100 * float((predicted == labels).float().mean())
    return checks


def make_helper(job: Job) -> None:
    """Train a helper network, or import it from a file."""
    helper = instance(HELPERS, job.parameters["helper"])
    description = {key: job.parameters[key] for key in ("helper", "image_size")}
    if isinstance(helper, TrainedHelper):
        torch.manual_seed(seeds.derive_seed(job.spec.path, "initialisation"))
        network = build_helper(description).to(job.device)
        checks: dict[str, Any] = {"losses": _fit_helper(job, helper, network)}
    else:
        assert isinstance(helper, ImportedHelper)
        network = _imported(helper, job.parameters["image_size"])
        checks = {"parameters": sum(parameter.numel() for parameter in network.parameters())}
    job.begin_writing()
    save_checkpoint(Path(job.spec.path), network, None, description)
    job.publish_record(checks)


def _fit_helper(job: Job, helper: TrainedHelper, network: torch.nn.Module) -> list[float]:
    images, _ = job.labelled("train", job.parameters["images"])
    losses: list[float] = []
    with tqdm(desc="epochs", mininterval=1) as bar:

        def report(_: int, loss: float) -> None:
            losses.append(loss)
            bar.set_postfix(loss=loss)
            bar.update()

        helper.fit(network, images, job.generator("training"), report)
    return losses


def _imported(helper: ImportedHelper, image_size: int) -> torch.nn.Module:
    state = read_state(helper.file, helper.sha256, helper.origin)
    with torch.device("meta"):
        network = helper.build(image_size)
    try:
        network.load_state_dict(helper.converted(state, network), assign=True)
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"results/external/{helper.file} holds another network ({reason}): get it again from {helper.origin}"
        ) from None
    return network


def make_tae(job: Job) -> None:
    """Craft one TAE set on one surrogate."""
    count, batch_size = job.parameters["images"], job.parameters["batch_size"]
    images, labels = job.labelled("test", count)
    (surrogate,) = job.networks("surrogate")
    attack, helper = instance(ATTACKS, job.parameters["attack"]), job.helper()
    if helper is not None:
        attack = attack.with_helper(helper)
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


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    """[0, 1] floats (B, 3, H, W) to uint8 (B, H, W, 3), rounded to nearest so that the budget is kept."""
    return (images * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def check_budget(adversarial: torch.Tensor, clean: torch.Tensor, attack: Attack, path: str) -> None:
    """Raise a ``UserError`` unless the stored bytes keep the budget."""
    largest = largest_change(adversarial, clean)
    if attack.keeps_budget and largest > attack.eps * 255:
        raise UserError(
            f"{path} changes a pixel by {largest}/255, more than its budget of {float(attack.eps * 255):g}/255: "
            "delete it and run again"
        )


def largest_change(adversarial: torch.Tensor, clean: torch.Tensor) -> int:
    """The largest difference of two uint8 image tensors, in grey levels."""
    return int((adversarial.to(torch.int16) - clean.to(torch.int16)).abs().max())


def _crafting_checks(
    surrogate: torch.nn.Module,
    clean: torch.Tensor,
    adversarial: torch.Tensor,
    labels: torch.Tensor,
    batch_size: int,
) -> dict[str, float]:
    before, _ = _loss_and_accuracy(surrogate, clean, labels, batch_size)
    after, white_box = _loss_and_accuracy(surrogate, adversarial, labels, batch_size)
    return {
        "loss_before": before,
        "loss_after": after,
        "white_box_accuracy": white_box,
        "largest_change": largest_change(adversarial, clean),
    }


def _loss_and_accuracy(
    network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, batch_size: int
) -> tuple[float, float]:
    loss, hits = 0.0, 0
    for batch, truth in zip(torch.split(images, batch_size), torch.split(labels, batch_size), strict=True):
        with torch.no_grad():
            logits = network(to_float(batch))
        loss += float(functional.cross_entropy(logits, truth, reduction="sum"))
        hits += int((logits.argmax(dim=1) == truth).sum())
    return loss / len(labels), 100 * hits / len(labels)


def make_cell(job: Job) -> None:
    """Evaluate every victim on every image set of one cell."""
    given = job.parameters
    test, labels = job.labelled("test", given["images"])
    victims = job.networks("victims")
    predicted = []
    for record in tqdm(job.records("images"), desc="image sets"):
        images = job.images(record, given["images"])
        if record.kind == "tae":
            check_budget(images, test, instance(ATTACKS, record.parameters["attack"]), record.path)
        predicted.append(accuracy.predict_each(victims, _as_victims_see(images, record.path, job)))
    # (S, seeds x T, N) -> (seeds, T, S, N)
    classes = torch.stack(predicted).cpu().numpy()
    classes = classes.reshape(len(predicted), len(given["seeds"]), len(given["networks"]), -1).transpose(1, 2, 0, 3)
    job.publish_by_product({"classes": classes.astype(np.uint16)})
    job.publish_json(_cell_content(job, classes == labels.cpu().numpy()))


def _as_victims_see(images: torch.Tensor, path: str, job: Job) -> Iterator[torch.Tensor]:
    """The batches of an image set after the cell's preprocessing, if it has one."""
    recipe, batch_size = job.parameters["preprocessing"], job.parameters["batch_size"]
    preprocessing = instance(PREPROCESSING, recipe) if recipe else None
    image_seeds = seeds.image_seeds(job.spec.path, path, len(images))
    for first in range(0, len(images), batch_size):
        batch = to_float(images[first : first + batch_size])
        yield preprocessing.apply(batch, image_seeds[first : first + batch_size]) if preprocessing else batch


def _cell_content(job: Job, correct: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, Any]:
    given = job.parameters
    networks = given["networks"]
    clean = given["surrogates"] == "clean"
    weights = _bootstrap_weights(job, correct.shape[-1])
    pairs = {"all": accuracy.all_pairs(*correct.shape[1:3])}
    if not clean and len(networks) > 1:
        pairs["off_diagonal"] = accuracy.off_diagonal(networks, networks)
    return {
        "surrogate_paradigm": given["surrogates"],
        "attack": given["attack"],
        "column": given["column"],
        "victims": networks,
        "surrogates": [] if clean else networks,
        "seeds": given["seeds"],
        "images": correct.shape[-1],
        "correct": correct.sum(axis=-1).tolist(),
        "means": {name: accuracy.pair_mean(correct, chosen, weights).rounded() for name, chosen in pairs.items()},
    }


def _bootstrap_weights(job: Job, images: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The same draws for all cells over the same test images."""
    stream = seeds.numpy_generator(job.spec.inputs["test"][0].path, "bootstrap")
    return accuracy.bootstrap_weights(images, job.parameters["bootstrap"], stream)


def make_trigger(job: Job) -> None:
    """Measure and picture the triggers of one paradigm."""
    networks = job.networks("checkpoints")
    names = [(seed, network) for seed in job.parameters["seeds"] for network in job.parameters["networks"]]
    measured = []
    for (seed, name), deployed in zip(names, networks, strict=True):
        if deployed.trigger is None:
            raise UserError(
                f"{job.spec.path}: {job.parameters['paradigm']} networks have no trigger: leave the column out"
            )
        measured.append(
            {
                "network": name,
                "seed": seed,
                "mean_square": triggers.mean_square(deployed.trigger),
                "largest": float(deployed.trigger.abs().max()),
                "picture": triggers.png_base64(triggers.as_picture(deployed.trigger)),
            }
        )
    job.publish_json({"paradigm": job.parameters["paradigm"], "triggers": measured})


def make_flip(job: Job) -> None:
    """Measure accuracy and loss while entries of the trigger are flipped."""
    given = job.parameters
    images, labels = job.labelled("test", given["images"])
    (deployed,) = job.networks("victim")
    if deployed.trigger is None:
        raise UserError(f"{job.spec.path}: {given['paradigm']} networks have no trigger: choose a trigger paradigm")
    generator = job.generator("masks")
    points = [
        triggers.flip_point(
            deployed.network,
            deployed.trigger,
            images,
            labels,
            fraction,
            given["masks"],
            given["batch_size"],
            generator,
        )
        for fraction in tqdm(given["fractions"], desc="fractions")
    ]
    content = {"paradigm": given["paradigm"], "network": given["network"], "images": len(labels)}
    job.publish_json({**content, "points": [asdict(point) for point in points]})


def make_whitebox(job: Job) -> None:
    """Attack every victim of one paradigm through its own gradients."""
    given = job.parameters
    images, labels = job.labelled("test", given["images"])
    attack = instance(ATTACKS, given["attack"])
    effort = {key: given[key] for key in ("batch_size", "iterations", "queries")}
    paths = [reference.path for reference in job.spec.inputs["victims"]]
    robust = [
        white_box.robustness(victim, attack, images, labels, generator=job.generator(path), **effort)
        for path, victim in zip(paths, tqdm(job.networks("victims"), desc="victims"), strict=True)
    ]
    # each (seeds, T, 1, N)
    shape = len(given["seeds"]), len(given["networks"]), 1, len(labels)
    correct = {name: torch.stack([r[name] for r in robust]).reshape(shape).cpu().numpy() for name in robust[0]}
    weights, every = _bootstrap_weights(job, len(labels)), accuracy.all_pairs(*shape[1:3])
    content = {"paradigm": given["paradigm"], "victims": given["networks"], "seeds": given["seeds"]}
    job.publish_json(
        {
            **content,
            "images": len(labels),
            "correct": {name: hits.sum(axis=(2, 3)).tolist() for name, hits in correct.items()},
            "means": {name: accuracy.pair_mean(hits, every, weights).rounded() for name, hits in correct.items()},
        }
    )


def make_table(job: Job) -> None:
    """Render a table as LaTeX, CSV and Markdown."""
    rendered = render(job.parameters, job.cells())
    job.begin_writing()
    for path in [job.spec.path, *job.spec.companions]:
        write_text(Path(path), rendered[Path(path).suffix])
    job.publish_record({})


def make_figure(job: Job) -> None:
    """Draw a figure as PDF and PNG, its caption as Markdown."""
    figure, caption = draw(job.parameters, job.cells())
    job.begin_writing()
    for path in [job.spec.path, *job.spec.companions]:
        if path.endswith(".md"):
            write_text(Path(path), caption)
        else:
            _save_figure(figure, Path(path))
    job.publish_record({})


def _save_figure(figure: Any, path: Path) -> None:
    """Without dates and program versions, so that the same cells give the same bytes."""
    metadata = (
        {"CreationDate": None, "Producer": None, "Creator": None} if path.suffix == ".pdf" else {"Software": None}
    )
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], metadata=metadata)


STAGES: Mapping[str, Callable[[Job], None]] = {
    "dataset": make_dataset,
    "checkpoint": make_checkpoint,
    "helper": make_helper,
    "tae": make_tae,
    "cell": make_cell,
    "trigger": make_trigger,
    "flip": make_flip,
    "whitebox": make_whitebox,
    "table": make_table,
    "figure": make_figure,
}
"""Kind of artifact -> the function that makes it."""
