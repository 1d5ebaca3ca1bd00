"""An experiment's cells without Snakemake and DVC, on a machine with a GPU, in so many minutes.

``scripts/full_size_on_gpu.sh`` calls it. It times trainings and attacks, lets the protocol train for as many epochs as
then fit, and makes the artifacts one after another by the workflow's own stages, with the same recipes and records. A
plain ``snakemake`` renders tables from the cells, wherever they are copied.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from trigger_activation.errors import UserError
from trigger_activation.plan import Plan, build_plan, kinds, recipes
from trigger_activation.plan.config import Config, load_config
from trigger_activation.plan.config.schema import Protocol
from trigger_activation.plan.config.values import STANDARD
from trigger_activation.plan.variants import Variants
from trigger_activation.run.job import Job, stage_of
from trigger_activation.run.spec import read_spec, write_spec
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.datasets import DATASETS
from trigger_activation.science.networks import NETWORKS
from trigger_activation.science.precision import InBfloat16
from trigger_activation.science.training.data import augmented_batches
from trigger_activation.science.training.loop import train_epoch
from trigger_activation.science.training.paradigms import PARADIGMS, Paradigm
from trigger_activation.store.atomic import write_text
from trigger_activation.store.environment import processor_name
from trigger_activation.store.freshness import Freshness

SAFETY = 1.15
"""Time that trainings and attacks are planned to take, over what a few batches took."""
ADVERSARIAL = "at"
"""The paradigm that costs are compared with, though the experiment does not train it."""


@dataclass(frozen=True)
class Trial:
    """How a training is timed."""

    precision: str
    memory_format: str
    compiled: bool


@dataclass(frozen=True)
class Bench:
    """A protocol on a device, and how many batches are timed."""

    config: Config
    name: str
    device: torch.device
    batches: int

    @property
    def protocol(self) -> Protocol:
        """What is timed."""
        return self.config.protocols[self.name]

    def paradigm(self, name: str) -> Paradigm:
        """One of config, with the protocol's parameters."""
        return PARADIGMS.instance(Variants(self.config).resolve("paradigms", name, self.name).parameters)

    def seconds(self, network: str, paradigm: Paradigm, trial: Trial) -> float:
        """Of training on one image, a random one; passes that move a trigger are shared out among all images."""
        module, seen = self._network(network, trial)
        settings = self.protocol.training
        optimizer = torch.optim.SGD(module.parameters(), lr=1e-3, momentum=settings.momentum, fused=True)
        images, labels = self._images()
        noise = Generator(self.device).manual_seed(0)
        trigger = paradigm.initial_trigger(tuple(images.permute(0, 3, 1, 2).shape[1:]), noise)

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            return augmented_batches(images, labels, settings.batch_size, settings.augmentation, noise, noise)

        def epoch() -> None:
            for loss in list(paradigm.losses(1, {})):
                train_epoch(seen, loss, batches(), trigger, optimizer, settings, noise)

        taken = self._timed(epoch)
        if trigger is not None and paradigm.updates_trigger(1, 100):
            share = sum(paradigm.updates_trigger(number, 100) for number in range(1, 101)) / 100
            taken += share * self._timed(lambda: paradigm.updated_trigger(seen, trigger, batches, noise))
        return taken / len(images)

    def attack_seconds(self, network: str, attack: str) -> float:
        """Of crafting one image."""
        family = NETWORKS[self.config.networks[network].class_](**self.config.networks[network].parameters)
        found = Variants(self.config).resolve("attacks", attack, self.name, lambda own: own.for_network(family))
        module, _ = self._network(network, Trial("float32", "channels_last", compiled=False))
        images, labels = self._images()
        batch = images[: self.protocol.attack.batch_size].permute(0, 3, 1, 2).float() / 255
        noise = Generator(self.device).manual_seed(0)
        method = ATTACKS.instance(found.parameters)
        return self._timed(lambda: method.perturb(module, batch, labels[: len(batch)], noise)) / len(batch)

    def _network(self, name: str, trial: Trial) -> tuple[nn.Module, nn.Module]:
        """A fresh one, and the same as training sees it."""
        variant, dataset = self.config.networks[name], self.config.datasets[self.protocol.dataset]
        module = NETWORKS[variant.class_](**variant.parameters).build(dataset.image_size, dataset.classes)
        module = module.to(self.device, memory_format=getattr(torch, trial.memory_format))  # type: ignore[call-overload]
        seen: nn.Module = InBfloat16(module, self.device.type) if trial.precision == "bfloat16" else module
        return module, torch.compile(seen) if trial.compiled else seen  # type: ignore[return-value]

    def _images(self) -> tuple[Tensor, Tensor]:
        dataset, count = self.config.datasets[self.protocol.dataset], self.batches * self.protocol.training.batch_size
        random = Generator(self.device).manual_seed(0)
        shape = (count, dataset.image_size, dataset.image_size, 3)
        images = torch.randint(0, 256, shape, generator=random, device=self.device, dtype=torch.uint8)
        return images, torch.randint(0, dataset.classes, (count,), generator=random, device=self.device)

    def _timed(self, action: Callable[[], object]) -> float:
        """Seconds, after a first time that warms up and compiles."""
        action()
        self._wait()
        start = time.perf_counter()
        action()
        self._wait()
        return time.perf_counter() - start

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def measured(
    bench: Bench, paradigms: Sequence[str], attacks: Sequence[str], compiles: Sequence[bool]
) -> dict[str, Any]:
    """Images per second of each network: paradigms as the protocol trains, standard training in each way, attacks."""
    ways = [Trial(*way) for way in product(("float32", "bfloat16"), ("contiguous_format", "channels_last"), compiles)]
    return {network: _speeds(bench, network, paradigms, attacks, ways) for network in bench.protocol.networks}


def _speeds(
    bench: Bench, network: str, paradigms: Sequence[str], attacks: Sequence[str], ways: Sequence[Trial]
) -> dict[str, Any]:
    usual = Trial(bench.protocol.training.precision, "channels_last", compiled=False)
    seconds = {name: bench.seconds(network, bench.paradigm(name), usual) for name in (*paradigms, ADVERSARIAL)}
    return {
        "training": {name: 1 / taken for name, taken in seconds.items()},
        "cost over standard training": {name: taken / seconds[STANDARD] for name, taken in seconds.items()},
        "standard training": {
            f"{way.precision}, {way.memory_format}{', compiled' * way.compiled}": _speed(bench, network, way)
            for way in ways
        },
        "attacks": {attack: 1 / bench.attack_seconds(network, attack) for attack in attacks},
    }


def _speed(bench: Bench, network: str, way: Trial) -> float | str:
    """Images per second of standard training, or why there are none: compilers are not everywhere."""
    try:
        return 1 / bench.seconds(network, bench.paradigm(STANDARD), way)
    except Exception as error:
        return f"failed: {' '.join(str(error).split())[:200]}"


def fitting_epochs(plan: Plan, experiment: str, speeds: dict[str, Any], images: int, seconds: float) -> int:
    """How many epochs the trainings of an experiment may have, at least 1, so that its attacks fit too.

    Args:
        plan: of all experiments.
        experiment: which one.
        speeds: as measured.
        images: of an epoch, where the plan leaves them open.
        seconds: that are left.
    """
    epoch = attacks = 0.0
    for artifact in plan.of_experiment(experiment):
        given, own = artifact.parameters, speeds.get(artifact.names.get("network", ""), {})
        if isinstance(given, recipes.CheckpointParameters):
            epoch += (given.images or images) / own["training"][artifact.names["paradigm"]]
        elif isinstance(given, recipes.TaeParameters):
            attacks += given.images / own["attacks"][artifact.names["attack"]]
    return max(1, int((seconds / SAFETY - attacks) / epoch))


def set_epochs(file: Path, epochs: int) -> None:
    """Write the number of epochs into a protocol, which decides all its numbers."""
    text, count = re.subn(r"(?m)^(  epochs: )\d+", rf"\g<1>{epochs}", file.read_text(encoding="utf-8"))
    if count != 1:
        raise UserError(f"{file} has {count} lines `  epochs: <number>`: give it one under `training`")
    write_text(file, text)


def make_cells(plan: Plan, experiment: str, device: torch.device, report: Callable[[str], None] = print) -> int:
    """Make what is not valid of an experiment, but for what is rendered; returns how many artifacts that were."""
    freshness, made = Freshness(plan), 0
    for artifact in plan.of_experiment(experiment):
        if artifact.kind.is_rendered or freshness.verdict(artifact.path).valid:
            continue
        start = time.perf_counter()
        spec = read_spec(write_spec(plan, artifact), artifact.recipe)
        torch.set_num_threads(spec.parameters.get("threads", 1))
        Path(artifact.path).parent.mkdir(parents=True, exist_ok=True)
        stage_of(artifact.kind)(Job(spec, device if artifact.kind.runs_networks else None))
        made += 1
        report(f"{time.perf_counter() - start:8.1f} s  {artifact.path}")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="full_size_on_gpu.sh", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="what all of it may take (60 unless given)")
    parser.add_argument("--experiment", default="cifar10-gpu", help="what is made, of config/experiments")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted call, for as many epochs")
    parser.add_argument("--batches", type=int, default=40, help="that each speed is timed over")
    parser.add_argument("--speeds", type=Path, default=Path("results/gpu-speeds.json"), help="where speeds are written")
    given = parser.parse_args(arguments)
    try:
        return _run(given)
    except UserError as error:
        print(error)
        return 1


def _run(given: argparse.Namespace) -> int:
    start = time.perf_counter()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = load_config(Path("config"), given.experiment)
    plan = build_plan(config)
    _refuse_missing(plan, given.experiment)
    if not given.resume:
        _set_what_fits(config, plan, device, given, start)
        plan = build_plan(load_config(Path("config"), given.experiment))
    made = make_cells(plan, given.experiment, device)
    print(f"{made} artifacts made in {(time.perf_counter() - start) / 60:.1f} minutes")
    return 0


def _set_what_fits(config: Config, plan: Plan, device: torch.device, given: argparse.Namespace, start: float) -> None:
    """Time everything, write the speeds, and let the protocol train for as many epochs as fit."""
    (name,) = config.experiments[given.experiment].slots.values()
    wanted = plan.of_experiment(given.experiment)
    paradigms = dict.fromkeys(a.names["paradigm"] for a in wanted if a.kind is kinds.CHECKPOINT)
    attacks = dict.fromkeys(a.names["attack"] for a in wanted if a.kind is kinds.TAE)
    gpu = device.type == "cuda"
    bench = Bench(config, name, device, given.batches)
    speeds = measured(bench, list(paradigms), list(attacks), (False, True) if gpu else (False,))
    device_name = torch.cuda.get_device_name(device) if gpu else processor_name()
    text = json.dumps({"device": device_name, "torch": torch.__version__, "images per second": speeds}, indent=1)
    write_text(given.speeds, f"{text}\n")
    images = config.datasets[config.protocols[name].dataset].training_images or 0
    left = 60 * given.minutes - (time.perf_counter() - start)
    epochs, protocol = (
        fitting_epochs(plan, given.experiment, speeds, images, left),
        Path(f"config/protocols/{name}.yaml"),
    )
    set_epochs(protocol, epochs)
    print(f"{text}\n{epochs} epochs fit, which {protocol} says now; the speeds are in {given.speeds}")


def _refuse_missing(plan: Plan, experiment: str) -> None:
    """Nothing is begun that lacks the user's files."""
    for artifact in plan.of_experiment(experiment):
        if isinstance(artifact.parameters, recipes.DatasetParameters):
            source = DATASETS.instance(artifact.parameters.source)
            if sentence := source.missing(kinds.EXTERNAL):
                raise UserError(sentence)


if __name__ == "__main__":
    raise SystemExit(main())
