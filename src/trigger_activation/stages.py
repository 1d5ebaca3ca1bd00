"""One function per rule: read inputs, call science, write outputs and provenance."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from tqdm import tqdm

from trigger_activation import page, seeds
from trigger_activation.attacks import ATTACKS, Attack
from trigger_activation.attacks._engine import counting_passes
from trigger_activation.datasets import DATASETS
from trigger_activation.errors import UserError
from trigger_activation.evaluation import accuracy, triggers
from trigger_activation.evaluation.timing import time_batches
from trigger_activation.figures import draw
from trigger_activation.helpers import HELPERS, ConsultsHelper, ImportedHelper, TrainedHelper
from trigger_activation.job import Job
from trigger_activation.lazy import functional
from trigger_activation.networks._deployed import DeployedNetwork
from trigger_activation.preprocessing import PREPROCESSING, Preprocessing
from trigger_activation.provenance.record import read_content, read_record
from trigger_activation.provenance.run import summarise
from trigger_activation.registry import Registry
from trigger_activation.storage.atomic import replacing, write_text
from trigger_activation.storage.checkpoints import build_helper, build_network, save_checkpoint
from trigger_activation.storage.external import read_state
from trigger_activation.tables import render
from trigger_activation.training.data import to_float
from trigger_activation.training.loop import EpochReport, Streams, train
from trigger_activation.training.paradigms import PARADIGMS
from trigger_activation.training.settings import TrainingSettings

C = TypeVar("C", bound=ConsultsHelper)


def make_dataset(job: Job) -> None:
    """Prepare one split of a data set."""
    expected = job.parameters
    source = DATASETS.instance(expected["source"])
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
    paradigm = PARADIGMS.instance(job.parameters["paradigm"])
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
    helper = HELPERS.instance(job.parameters["helper"])
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

        helper.fit(network, images, job.generator("training"), report, _teacher(job))
    return losses


def _teacher(job: Job) -> torch.nn.Module | None:
    return job.networks("teacher")[0] if "teacher" in job.spec.inputs else None


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
    attack = _equipped(ATTACKS, job.parameters["attack"], job)
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


def _equipped(registry: Registry[C], recipe: Mapping[str, Any], job: Job) -> C:
    """The attack or preprocessing that a recipe names, with the helper network that it consults, if any."""
    tool, helper = registry.instance(recipe), job.helper()
    return tool if helper is None else tool.with_helper(helper)


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


def make_purified(job: Job) -> None:
    """Purify one image set, for all victims."""
    count, batch_size = job.parameters["images"], job.parameters["batch_size"]
    (record,) = job.records("images")
    images = job.images(record, count)
    purifier = _equipped(PREPROCESSING, job.parameters["purifier"], job)
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


def make_cell(job: Job) -> None:
    """Evaluate every victim on every image set of one cell."""
    given = job.parameters
    test, labels = job.labelled("test", given["images"])
    victims = job.networks("victims")
    predicted = []
    for record in tqdm(job.records("images"), desc="image sets"):
        images = job.images(record, given["images"])
        if record.kind == "tae":
            check_budget(images, test, ATTACKS.instance(record.parameters["attack"]), record.path)
        predicted.append(accuracy.predict_each(victims, _as_victims_see(images, record.path, job)))
    # (S, seeds x T, N) -> (seeds, T, S, N)
    classes = torch.stack(predicted).cpu().numpy()
    classes = classes.reshape(len(predicted), len(given["seeds"]), len(given["networks"]), -1).transpose(1, 2, 0, 3)
    job.publish_by_product({"classes": classes.astype(np.uint16)})
    job.publish_json(_cell_content(job, classes == labels.cpu().numpy()))


def _as_victims_see(images: torch.Tensor, path: str, job: Job) -> Iterator[torch.Tensor]:
    """The batches of an image set after the cell's preprocessing, if it has one."""
    recipe, batch_size = job.parameters["preprocessing"], job.parameters["batch_size"]
    preprocessing = PREPROCESSING.instance(recipe) if recipe else None
    image_seeds = seeds.image_seeds(job.spec.path, path, len(images))
    for first in range(0, len(images), batch_size):
        batch = to_float(images[first : first + batch_size])
        yield preprocessing.apply(batch, image_seeds[first : first + batch_size]) if preprocessing else batch


def _cell_content(job: Job, correct: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, Any]:
    given = job.parameters
    networks = given["networks"]
    clean = given["surrogates"] == "clean"
    stream = seeds.numpy_generator(job.spec.inputs["test"][0].path, "bootstrap")
    weights = accuracy.bootstrap_weights(correct.shape[-1], given["bootstrap"], stream)
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
        "means": {
            name: _rounded(asdict(accuracy.pair_mean(correct, chosen, weights))) for name, chosen in pairs.items()
        },
    }


def _rounded(statistics: dict[str, Any]) -> dict[str, Any]:
    """Percentages to 1e-6, below what any count of images can resolve."""

    def shorten(value: Any) -> Any:
        if isinstance(value, list):
            return [shorten(item) for item in value]
        return value if value is None else round(value, 6)

    return {key: shorten(value) for key, value in statistics.items()}


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
                "picture": png_base64(triggers.as_picture(deployed.trigger)),
            }
        )
    job.publish_json({"paradigm": job.parameters["paradigm"], "triggers": measured})


def png_base64(picture: torch.Tensor) -> str:
    """uint8 (H, W, 3) as a PNG in base64."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture.cpu().numpy()).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


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


def make_cost(job: Job) -> None:
    """Time one defended network, and read from its checkpoint's record how long it trained."""
    given = job.parameters
    (victim,) = job.networks("victim")
    (record,) = job.records("victim")
    environment, helper = record.environment or {}, job.helper()
    preprocessing = _equipped(PREPROCESSING, given["preprocessing"], job) if given["preprocessing"] else None
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
        "training": {key: environment[key] for key in ("seconds", "device")},
        "helper_parameters": sum(p.numel() for p in helper.parameters()) if helper is not None else 0,
    }
    job.publish_json(content)


def _after(
    preprocessing: Preprocessing, victim: torch.nn.Module, job: Job, size: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The victim behind a preprocessing, for batches of one size."""
    image_seeds = seeds.image_seeds(job.spec.path, "batch", size)

    def classify(batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = victim(preprocessing.apply(batch, image_seeds))
        return logits

    return classify


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


def make_run(job: Job) -> None:
    """Add up what the records of an experiment's artifacts say about time, memory and devices."""
    records = job.claimed_records("artifacts")
    for path in job.parameters["by_products"]:
        record = read_record(path)
        if record is None:
            raise UserError(f"{path} is missing, and with it the time it took: run with --config complete=true")
        records.append(record)
    job.publish_json(summarise(records))


def make_page(job: Job) -> None:
    """Put tables, figures and the story of every cell on one page."""
    job.records("tables")  # The page links to them, and shows what they show.
    cells = {record.path: page.Cell(record, read_content(record.path)) for record in job.records("cells")}
    figures = [
        page.figure(
            shown, cells, path.with_suffix(".md").read_text(encoding="utf-8"), path.with_suffix(".png").read_bytes()
        )
        for shown, path in zip(job.parameters["figures"], (Path(r.path) for r in job.records("figures")), strict=True)
    ]
    built = page.build(job.parameters, cells, figures, job.optional_content("run"))
    job.begin_writing()
    write_text(Path(job.spec.path), page.render(built))
    job.publish_record({})


STAGES: Mapping[str, Callable[[Job], None]] = {
    "dataset": make_dataset,
    "checkpoint": make_checkpoint,
    "helper": make_helper,
    "tae": make_tae,
    "purified": make_purified,
    "cell": make_cell,
    "trigger": make_trigger,
    "flip": make_flip,
    "cost": make_cost,
    "table": make_table,
    "figure": make_figure,
    "run": make_run,
    "page": make_page,
}
"""Kind of artifact -> the function that makes it."""
