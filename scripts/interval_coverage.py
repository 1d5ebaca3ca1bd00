"""How often intervals cover what other runs find: a small protocol, run many times with seeds and images of its own.

python scripts/interval_coverage.py [--json FILE]

Takes less than an hour on two cores. What was run is kept: an interrupted one goes on, and a change of the intervals
alone takes a moment.

Each repetition trains its own networks on the same images, as a reader's run would, and attacks test images that no
other repetition has. Its intervals should cover the mean of the other repetitions in 95 of 100 cases.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from trigger_activation.plan.config.loader import load_config
from trigger_activation.plan.variants import Variants
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.datasets import DATASETS
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.evaluation.accuracy import off_diagonal, predict
from trigger_activation.science.evaluation.uncertainty import (
    Estimate,
    Scores,
    contrast,
    estimate,
    scores,
)
from trigger_activation.science.images import to_bytes, to_float
from trigger_activation.science.networks import NETWORKS
from trigger_activation.science.seeds import derive_seed, torch_generator
from trigger_activation.science.training.loop import Streams, train
from trigger_activation.science.training.paradigms import PARADIGMS
from trigger_activation.store.atomic import replacing

ROOT = Path(__file__).resolve().parents[1]
PROTOCOL = "fashion16"
NETWORK_NAMES = ["vgg-s", "resnet18-xs"]
COLUMNS = ["standard", "at", "fixed_64", "learn_32"]
ROWS: dict[str, dict[str, Any]] = {"clean": {}, "pgd": {}, "difgsm": {"rate": 1.5}, "bsr": {"copies": 5}}
"""Attacks and what is not as in the protocol: a rate that leaves a choice of places at 16 px, and fewer copies."""
SEEDS, REPETITIONS = 3, 20
TRAINING_IMAGES, TEST_IMAGES, EPOCHS, BLOCK = 2000, 400, 3, 40
CPU = torch.device("cpu")

Answers = NDArray[np.bool_]
"""(columns, rows, seeds, victims, surrogates, images): which images are classified correctly."""


def images_of(repetition: int) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """The training images of all repetitions, and the test images of this one alone, with their labels."""
    config = load_config(ROOT / "config")
    data = DATASETS.instance(Variants(config).resolve("datasets", config.protocols[PROTOCOL].dataset).parameters)
    parts = [data.load("train", ROOT / "results/external"), data.load("test", ROOT / "results/external")]
    images = torch.from_numpy(np.concatenate([part.images for part in parts]))
    labels = torch.from_numpy(np.concatenate([part.labels for part in parts]))
    first = TRAINING_IMAGES + repetition * TEST_IMAGES
    own = slice(first, first + TEST_IMAGES)
    return (images[:TRAINING_IMAGES], labels[:TRAINING_IMAGES]), (images[own], labels[own])


def trained(variants: Variants, column: str, network: str, name: str, data: tuple[torch.Tensor, torch.Tensor]) -> Any:
    """One deployed network; all that is random follows its name."""
    settings = variants.config.protocols[PROTOCOL].training.model_copy(update={"epochs": EPOCHS})
    torch.manual_seed(derive_seed(name, "initialisation"))
    built = NETWORKS.instance(variants.resolve("networks", network).parameters).build(data[0].shape[1], 10)
    paradigm = PARADIGMS.instance(variants.resolve("paradigms", column, PROTOCOL).parameters)
    streams = Streams(*(torch_generator(name, stream, CPU) for stream in Streams.__dataclass_fields__))
    trigger = train(built, paradigm, *data, settings, streams)
    return DeployedNetwork(built, trigger).eval()


def adversarial(
    variants: Variants, row: str, surrogate: Any, name: str, test: tuple[torch.Tensor, torch.Tensor]
) -> Any:
    """The test images (N, H, W, 3) after an attack on a surrogate, block by block; ``clean`` leaves them."""
    if row == "clean":
        return test[0]
    attack = ATTACKS.instance({**variants.resolve("attacks", row, PROTOCOL).parameters, **ROWS[row]})
    generator = torch_generator(name, "attack", CPU)
    batches = zip(torch.split(to_float(test[0]), BLOCK), torch.split(test[1], BLOCK), strict=True)
    return torch.cat([to_bytes(attack.perturb(surrogate, *batch, generator)) for batch in batches])


def repetition(number: int, folder: Path) -> None:
    """Train, attack, classify; the answers go to a file."""
    file = folder / f"{number}.npz"
    if file.exists():
        return
    torch.set_num_threads(1)
    variants = Variants(load_config(ROOT / "config"))
    data, test = images_of(number)
    found = np.zeros((len(COLUMNS), len(ROWS), SEEDS, len(NETWORK_NAMES), len(NETWORK_NAMES), TEST_IMAGES), dtype=bool)
    for seed in range(SEEDS):
        networks = {
            (column, name): trained(variants, column, name, f"coverage/{number}/{name}__{column}/seed{seed}", data)
            for column, name in product(COLUMNS, NETWORK_NAMES)
        }
        for (place, row), (source, name) in product(enumerate(ROWS), enumerate(NETWORK_NAMES)):
            images = adversarial(
                variants, row, networks["standard", name], f"coverage/{number}/{name}/{row}/{seed}", test
            )
            for (column, of_column), (victim, of_victim) in product(enumerate(COLUMNS), enumerate(NETWORK_NAMES)):
                answers = predict(networks[of_column, of_victim], images, TEST_IMAGES) == test[1]
                found[column, place, seed, victim, source] = answers.numpy()
    with replacing(file) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, correct=found)


def cells(correct: Answers, off: bool) -> dict[tuple[str, str], Scores]:
    """Scores of each row and column, over all pairs or those of different architectures."""
    pairs = off_diagonal(NETWORK_NAMES, NETWORK_NAMES) if off else np.ones((2, 2), dtype=bool)
    return {
        (row, column): scores(correct[place, line][:, pairs], BLOCK)
        for (place, column), (line, row) in product(enumerate(COLUMNS), enumerate(ROWS))
    }


def estimates(correct: Answers, off: bool) -> Iterator[tuple[str, tuple[str, str], Estimate]]:
    """What tables say of one repetition: kind of statement, which one, estimate."""
    found = cells(correct, off)
    for (row, column), values in found.items():
        yield "a cell", (row, column), estimate(values)
        if column != "standard":
            yield "a difference from w/o", (row, column), contrast(values, found[row, "standard"])


def images_alone(correct: Answers, off: bool) -> Iterator[tuple[str, tuple[str, str], Estimate]]:
    """What an interval over images alone would say, as a table of one run without seeds has it."""
    for name, values in cells(correct, off).items():
        blocks = estimate(np.tile(values.mean(axis=0), (2, 1)))
        yield "a cell, images alone", name, blocks


def coverage(runs: list[Answers], of_run: Callable[[Answers, bool], Iterator[Any]]) -> list[dict[str, Any]]:
    """For each kind of statement: how many of its intervals cover the mean of the other runs, and how wide they are."""
    found = [
        {"pairs": "off the diagonal" if off else "all", "interval of": kind, "name": name, "run": run, "estimate": each}
        for off in (False, True)
        for run, correct in enumerate(runs)
        for kind, name, each in of_run(correct, off)
    ]
    frame = pd.DataFrame(found)
    frame["mean"] = [each.mean for each in frame["estimate"]]
    frame["margin"] = [each.margin() for each in frame["estimate"]]
    total = frame.groupby(["pairs", "interval of", "name"])["mean"].transform("sum")
    frame["covers"] = (frame["mean"] - (total - frame["mean"]) / (len(runs) - 1)).abs() <= frame["margin"]
    groups = frame.groupby(["interval of", "pairs"], sort=False)
    return [
        {
            "interval of": kind,
            "pairs": pairs,
            "intervals": len(group),
            "cover": f"{100 * group['covers'].mean():.1f} %",
            "median half-width": f"{group['margin'].median():.1f}",
        }
        for (kind, pairs), group in groups
    ]


def main() -> None:
    """Run what has not been run, and print how often intervals cover."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("results/coverage"), help="of what was run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table to a file")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        run = pool.map(partial(repetition, folder=options.folder), range(REPETITIONS))
        list(tqdm(run, total=REPETITIONS, desc="repetitions"))
    runs = [np.load(options.folder / f"{number}.npz")["correct"] for number in range(REPETITIONS)]
    rows = [*coverage(runs, estimates), *coverage(runs, images_alone)]
    print(pd.DataFrame(rows).to_string(index=False))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
