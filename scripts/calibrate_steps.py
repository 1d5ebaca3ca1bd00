"""Which step sizes fit the published white-box and transfer accuracies: measured on small undefended networks.

    python scripts/calibrate_steps.py            # trains, attacks, and writes docs/step-calibration.json and .md
    python scripts/calibrate_steps.py --render   # the .md from the .json alone

The published tables imply the white-box accuracy (they differ by whether a network is attacked on itself), so PGD's
share of what I-FGSM leaves is known with and without transfer. Networks, training and budget are those of a protocol of
small images; steps are shares of the budget, printed as grey levels of the paper's 8/255.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from trigger_activation.plan.config import load_config
from trigger_activation.report.published.numbers import PrintedColumn, Published, parse
from trigger_activation.science import seeds
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.datasets import DATASETS
from trigger_activation.science.evaluation.accuracy import predict
from trigger_activation.science.images import to_bytes, to_float
from trigger_activation.science.networks import NETWORKS
from trigger_activation.science.training.loop import Streams, train
from trigger_activation.science.training.paradigms import PARADIGMS

PROTOCOL, SEEDS, IMAGES = "fashion16", 2, 1000
PAPERS = Fraction(8, 255)
TRIED = [
    *(("16/255", "pgd", grey) for grey in ("0.4", "0.765", "1", "2")),
    *(("16/255", attack, grey) for attack in ("ifgsm", "mifgsm", "difgsm") for grey in ("0.4", "0.8", "1", "1.6", "2")),
    ("24/255", "ifgsm", "0.4"),
    *(("24/255", "pgd", grey) for grey in ("0.4", "0.765", "1", "2")),
]
"""Budget, attack and step, the last in grey levels of a budget of 8/255: 0.4 is eps/steps, 0.765 is 0.003."""
RATE = 1.125
"""DI-FGSM's, which has five geometries at 16 px."""
DOCS = Path("docs")


def measured() -> dict[str, Any]:
    """White-box and transfer accuracies, means over networks and seeds, in percent."""
    config = load_config(Path("config"))
    protocol = config.protocols[PROTOCOL]
    dataset = config.datasets[protocol.dataset]
    data = DATASETS[dataset.class_](**dataset.parameters)
    splits = {split: data.load(split, Path("results/external")) for split in ("train", "test")}
    arrays = {name: [torch.from_numpy(part) for part in (s.images, s.labels)] for name, s in splits.items()}
    images, labels = (part[:IMAGES] for part in arrays["test"])
    found: dict[tuple[str, str, str], tuple[list[float], list[float]]] = {row: ([], []) for row in TRIED}
    for seed in range(SEEDS):
        networks = {
            name: trained(config.networks[name], *arrays["train"], protocol.training, name, seed)
            for name in protocol.networks
        }
        for row, surrogate in tqdm(list(product(found, networks))):
            adversarial = crafted(*row, protocol.attack.steps, networks[surrogate], images, labels, seed)
            for victim, network in networks.items():
                correct = predict(network, adversarial, 500) == labels
                found[row][victim != surrogate].append(100 * float(correct.float().mean()))
    return {
        "protocol": PROTOCOL,
        "networks": protocol.networks,
        "seeds": SEEDS,
        "images": IMAGES,
        "steps": protocol.attack.steps,
        "rows": [
            {
                "eps": eps,
                "attack": attack,
                "grey": grey,
                "white_box": round(mean(own), 2),
                "transfer": round(mean(other), 2),
            }
            for (eps, attack, grey), (own, other) in found.items()
        ],
    }


def trained(variant: Any, images: Tensor, labels: Tensor, settings: Any, name: str, seed: int) -> nn.Module:
    """An undefended network."""
    place = f"calibration/{name}/{seed}"
    torch.manual_seed(seeds.derive_seed(place, "initialisation"))
    network = NETWORKS[variant.class_](**variant.parameters).build(images.shape[1], 10)
    device = torch.device("cpu")
    streams = Streams(*(seeds.torch_generator(place, stream, device) for stream in Streams.__dataclass_fields__))
    train(network, PARADIGMS["standard"](), images, labels, settings, streams)
    return network.eval()


def crafted(
    eps: str, attack: str, grey: str, steps: int, network: nn.Module, images: Tensor, labels: Tensor, seed: int
) -> Tensor:
    """Images as bytes, as TAE sets keep them."""
    step = Fraction(grey) / 255 * Fraction(eps) / PAPERS
    rate = {"rate": RATE} if attack == "difgsm" else {}
    attacker = ATTACKS[attack](eps=eps, steps=steps, step_size=step, **rate)
    generator = torch.Generator().manual_seed(seed)
    batches = zip(images.split(500), labels.split(500), strict=True)
    return torch.cat([to_bytes(attacker.perturb(network, to_float(x), y, generator)) for x, y in batches])


PRINTED = {"ifgsm": "I-FGSM", "pgd": "PGD", "mifgsm": "MI-FGSM", "difgsm": "DI-FGSM"}
TABLES = [("II", "VIII", 5), ("III", "IX", 5), ("IV", "X", 6)]
"""All pairs of networks, pairs of different ones, number of networks."""


def implied(published: Published) -> dict[str, dict[str, list[float]]]:
    """White-box and transfer accuracy of each attack in each pair of tables, solved from the two means."""
    undefended = PrintedColumn("none")
    found: dict[str, dict[str, list[float]]] = {}
    for attack, row in PRINTED.items():
        every, rest = (
            [float(published.value(table, row, undefended) or "nan") for table in column]
            for column in list(zip(*TABLES, strict=True))[:2]
        )
        own = [n * a - (n - 1) * b for (_, _, n), a, b in zip(TABLES, every, rest, strict=True)]
        found[attack] = {"white_box": own, "transfer": rest}
    return found


def rendered(found: dict[str, Any], published: Published) -> str:
    """The page, in Markdown."""
    printed = implied(published)
    base = {row["eps"]: row for row in found["rows"] if row["attack"] == "ifgsm" and row["grey"] == "0.4"}
    heads = [f"{every} / {rest}, {what}" for every, rest, _ in TABLES for what in ("white-box", "transfer")]
    lines = [
        "# Step sizes",
        "",
        "<!-- Made by scripts/calibrate_steps.py from step-calibration.json. -->",
        "",
        "The paper prints no step sizes. Tables II-IV average over all pairs of networks, and Tables VIII-X leave out "
        "those in which a network is attacked on itself, so both together give the accuracy that an attack leaves with "
        "and without transfer. Over that of I-FGSM:",
        "",
        *_row("printed", *heads),
        "|---" * (1 + len(heads)) + "|",
    ]
    for attack in ("pgd", "mifgsm", "difgsm"):
        shares = [
            printed[attack][key][place] / printed["ifgsm"][key][place]
            for place in range(len(TABLES))
            for key in ("white_box", "transfer")
        ]
        lines += _row(PRINTED[attack], *(f"{share:.2f}" for share in shares))
    lines += [
        "",
        f"Measured on {' and '.join(found['networks'])} of the protocol `{found['protocol']}`, undefended, "
        f"{found['seeds']} seeds, {found['images']:,} test images, {found['steps']} steps. A step is in grey levels of "
        "a budget of 8/255 and grows with the budget: 0.4 is eps/steps, 0.765 the 0.003 of the first author's earlier "
        "code. I-FGSM takes 0.4 in the last two columns.",
        "",
        *_row("budget", "attack", "step", "white-box", "transfer", "white-box over I-FGSM's", "transfer over I-FGSM's"),
        "|---" * 7 + "|",
    ]
    for row in found["rows"]:
        both = [row[key] for key in ("white_box", "transfer")]
        shares = [row[key] / base[row["eps"]][key] for key in ("white_box", "transfer")]
        lines += _row(
            row["eps"], PRINTED[row["attack"]], row["grey"], *(f"{number:.2f}" for number in (*both, *shares))
        )
    return "\n".join([*lines, "", _conclusion(found["rows"], base, printed), ""])


def _row(*cells: str) -> list[str]:
    return [f"| {' | '.join(cells)} |"]


def _conclusion(
    rows: list[dict[str, Any]], base: dict[str, dict[str, Any]], printed: dict[str, dict[str, list[float]]]
) -> str:
    """Which of PGD's steps leave, in both budgets, a white-box share that is in the printed range."""
    pairs = zip(printed["pgd"]["white_box"], printed["ifgsm"]["white_box"], strict=True)
    shares = [pgd / ifgsm for pgd, ifgsm in pairs]
    fit: dict[str, list[str]] = {}
    for row in (row for row in rows if row["attack"] == "pgd"):
        share = round(row["white_box"] / base[row["eps"]]["white_box"], 2)
        if round(min(shares), 2) <= share <= round(max(shares), 2):
            fit.setdefault(row["grey"], []).append(row["eps"])
    everywhere = [grey for grey, budgets in fit.items() if len(budgets) == len(base)]
    larger = [row["transfer"] for row in rows if row["attack"] == "pgd" and row["eps"] == "16/255"][1:]
    return (
        f"In print PGD leaves {min(shares):.2f} to {max(shares):.2f} of I-FGSM's white-box accuracy. Steps that "
        f"do so here at both budgets: {' and '.join(everywhere) or 'none'}. On transfer all steps above 0.4 are within "
        f"{max(larger) - min(larger):.2f} points of each other at 16/255."
    )


def main() -> None:
    """Measure, unless only the page is asked for, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--render", action="store_true")
    numbers = DOCS / "step-calibration.json"
    if not parser.parse_args().render:
        torch.set_num_threads(1)
        numbers.write_text(json.dumps(measured(), indent=1) + "\n", encoding="utf-8")
    published = parse(Path("config/published/published.csv").read_text(encoding="utf-8"))
    page = rendered(json.loads(numbers.read_text(encoding="utf-8")), published)
    (DOCS / "step-calibration.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
