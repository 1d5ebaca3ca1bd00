"""Checkpoints: trained here or elsewhere, of classifiers and of helper networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from trigger_activation.errors import UserError
from trigger_activation.plan.recipes import CheckpointParameters, HelperParameters, ImportedParameters
from trigger_activation.run.job import Job
from trigger_activation.science import seeds
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.evaluation import accuracy
from trigger_activation.science.helpers import HELPERS, ImportedHelper, TrainedHelper
from trigger_activation.science.images import middle
from trigger_activation.science.training.loop import EpochReport, Streams, train
from trigger_activation.science.training.paradigms import PARADIGMS, Paradigm, SurrogateParadigm
from trigger_activation.store.checkpoints import build_helper, build_network, save_checkpoint
from trigger_activation.store.external import read_external, read_network


def make_checkpoint(job: Job[CheckpointParameters]) -> None:
    """Train a network."""
    given = job.parameters
    images, labels = job.labelled("train", given.images, margin=True)
    description = _description(given)
    torch.manual_seed(seeds.derive_seed(job.spec.path, "initialisation"))
    network = build_network(description).to(job.device)
    settings, paradigm = given.training, PARADIGMS.instance(given.paradigm)
    if isinstance(paradigm, SurrogateParadigm):
        paradigm = paradigm.with_surrogates(job.networks("surrogates"))
    streams = Streams(**{name: stream(job, name, paradigm) for name in Streams.__dataclass_fields__})
    losses: list[float] = []
    with tqdm(total=settings.epochs, desc="epochs", mininterval=1) as bar:

        def report(epoch: EpochReport) -> None:
            losses.append(epoch.loss)
            bar.set_postfix(loss=epoch.loss)
            bar.update()

        trigger = train(network, paradigm, images, labels, settings, streams, report, job.scratch, given.image_size)
    deployed = paradigm.deployed(network, trigger)
    job.begin_writing()
    save_checkpoint(Path(job.spec.path), network, trigger, description, deployed.clamp)
    seen = middle(images[:2000], given.image_size).to(job.device)
    job.publish_record({"losses": losses, **_training_accuracy(deployed, seen, labels[:2000])})


def stream(job: Job[CheckpointParameters], name: str, paradigm: Paradigm) -> torch.Generator:
    """A random stream of a training; that of a shared trigger is one for all networks."""
    if name == "trigger" and paradigm.shares_trigger:
        return seeds.torch_generator(path_without_network(job.spec.path), name, job.device)
    return job.generator(name)


def path_without_network(path: str) -> str:
    """The path of a checkpoint with its paradigm alone in place of network and paradigm."""
    folder = Path(path).parent
    return str(folder.with_name(folder.name.partition("__")[2]) / Path(path).name)


def _description(given: CheckpointParameters | ImportedParameters) -> dict[str, Any]:
    """What the checkpoint's file says of the network in it."""
    return {"network": given.network, "image_size": given.image_size, "classes": given.classes}


def _training_accuracy(deployed: DeployedNetwork, images: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Accuracy of f_t, and of f without its trigger, on some training images."""
    deployed.eval()
    checks = {}
    for name, tau in {"training_accuracy": deployed.trigger, "training_accuracy_without_trigger": None}.items():
        predicted = accuracy.predict(DeployedNetwork(deployed.network, tau, deployed.clamp), images, 500)
        checks[name] = 100 * float((predicted == labels).float().mean())
    return checks


def make_imported(job: Job[ImportedParameters]) -> None:
    """Make a checkpoint of a network that was trained elsewhere."""
    given = job.parameters
    description = _description(given)
    deployed = read_network(given.file, given.sha256, description)
    job.begin_writing()
    save_checkpoint(Path(job.spec.path), deployed.network, deployed.trigger, description, deployed.clamp)
    job.publish_record({"trigger": deployed.trigger is not None})


def make_helper(job: Job[HelperParameters]) -> None:
    """Train a helper network, or import it from a file."""
    given = job.parameters
    helper = HELPERS.instance(given.helper)
    description = {"helper": given.helper, "image_size": given.image_size}
    if isinstance(helper, TrainedHelper):
        torch.manual_seed(seeds.derive_seed(job.spec.path, "initialisation"))
        network = build_helper(description).to(job.device)
        checks: dict[str, Any] = {"losses": _fit_helper(job, helper, network)}
    else:
        assert isinstance(helper, ImportedHelper)
        network = _imported(helper, given.image_size)
        checks = {"parameters": sum(parameter.numel() for parameter in network.parameters())}
    job.begin_writing()
    save_checkpoint(Path(job.spec.path), network, None, description)
    job.publish_record(checks)


def _fit_helper(job: Job[HelperParameters], helper: TrainedHelper, network: torch.nn.Module) -> list[float]:
    images, _ = job.labelled("train", job.parameters.images)
    losses: list[float] = []
    with tqdm(desc="epochs", mininterval=1) as bar:

        def report(_: int, loss: float) -> None:
            losses.append(loss)
            bar.set_postfix(loss=loss)
            bar.update()

        helper.fit(network, images, job.generator("training"), report, _teacher(job), job.scratch)
    return losses


def _teacher(job: Job[HelperParameters]) -> torch.nn.Module | None:
    return job.networks("teacher")[0] if "teacher" in job.spec.inputs else None


def _imported(helper: ImportedHelper, image_size: int) -> torch.nn.Module:
    content = read_external(helper.file, helper.sha256, helper.origin)
    with torch.device("meta"):
        network = helper.build(image_size)
    try:
        network.load_state_dict(helper.converted(content, network), assign=True)
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"results/external/{helper.file} holds another network ({reason}): get it again from {helper.origin}"
        ) from None
    return network
