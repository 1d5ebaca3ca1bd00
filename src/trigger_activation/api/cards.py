"""Cards of published networks and images, in the form that model and data hubs expect, from records alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from trigger_activation.api.library import Library, library, names_of
from trigger_activation.api.ranking import leaderboard
from trigger_activation.errors import UserError
from trigger_activation.plan import Artifact
from trigger_activation.store.records import Record, read_record

LICENSE = "mit"
"""Of networks; adversarial images stay under the licence of the images that they were made of."""


def model_card(protocol: str, *, project: str | Path | None = None) -> str:
    """A card of the networks of a protocol whose records are here.

    Args:
        protocol: one of ``config/protocols``.
        project: its folder, see :mod:`trigger_activation.api`.

    Returns:
        Markdown below YAML: what the networks are, how they were trained and where, their sha256, and what the defenses
        keep, from cells.

    Raises:
        UserError: there is no such protocol, or no record of a network of it is here.
    """
    found = library(project)
    records = dict(_records(found, found.victims(protocol), "network"))
    settings, dataset = found.protocol(protocol), found.config.datasets[found.protocol(protocol).dataset]
    board = leaderboard(protocol, project=project)
    attacked = f"mean under {', '.join(board.attacks)}"
    results = [
        {
            "task": {"type": "image-classification"},
            "dataset": {"type": settings.dataset, "name": dataset.label},
            "metrics": [
                {"type": "accuracy", "name": "clean", "value": round(place.contender.clean, 2)},
                {"type": "accuracy", "name": attacked, "value": round(place.mean.all, 2)},
            ],
            "name": place.contender.label,
        }
        for place in board.places
    ]
    head = {
        "license": LICENSE,
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "datasets": [settings.dataset],
        "tags": ["adversarial-robustness", "transfer-attacks"],
        "model-index": [{"name": f"{protocol}: {result.pop('name')}", "results": [result]} for result in results],
    }
    training = settings.training.model_dump(mode="json")
    rows = [
        (names["network"], names["paradigm"], names["seed"], _losses(record), f"`{record.sha256}`")
        for artifact, record in records.items()
        for names in [names_of(found.plan[artifact])]
    ]
    parts = [
        _front(head),
        f"# Networks of the protocol {protocol}\n",
        f"{len(rows)} classifiers of {dataset.label} ({dataset.image_size} px, {dataset.classes} classes), images in "
        "[0, 1] to logits, their triggers inside. `trigger_activation.load_victim` loads them.\n",
        _table(("network", "trained as", "seed", "last loss", "sha256"), rows),
        f"## Training\n\n```yaml\n{yaml.safe_dump(training)}```\n",
        f"## Made\n\n{_origins(records.values())}\n",
        "## Limits\n\nThe numbers are of transfer attacks, and say nothing of attackers who differentiate "
        "the network itself.\n",
    ]
    return "\n".join(parts)


def data_card(protocol: str, *, project: str | Path | None = None) -> str:
    """A card of the adversarial images of a protocol whose records are here; otherwise like :func:`model_card`."""
    found = library(project)
    records = dict(_records(found, found.taes(protocol), "TAE set"))
    settings, dataset = found.protocol(protocol), found.config.datasets[found.protocol(protocol).dataset]
    head = {
        "license": "other",
        "license_name": "as-the-source-data-set",
        "pretty_name": f"Transferable adversarial examples of {dataset.label}, protocol {protocol}",
        "task_categories": ["image-classification"],
        "source_datasets": [settings.dataset],
        "tags": ["adversarial-examples", "transfer-attacks"],
    }
    rows = [_row(found.plan[path], record) for path, record in records.items()]
    attacks = {found.plan[path].names["attack"]: record.parameters["attack"] for path, record in records.items()}
    parts = [
        _front(head),
        f"# Adversarial images of the protocol {protocol}\n",
        f"{len(rows)} sets, each of one attack on one surrogate, of the first test images of {dataset.label}, at most "
        f"{settings.attack.eps} from them in the pixel range [0, 1] unless an attack's parameters below say otherwise. "
        "`trigger_activation.load_taes` loads them beside the clean images.\n",
        *([f"{dataset.note}\n"] if dataset.note else []),
        _table(("surrogate", "trained as", "seed", "attack", "images", "sha256"), rows),
        f"## Attacks\n\n```yaml\n{yaml.safe_dump(attacks)}```\n",
        f"## Made\n\n{_origins(records.values())}\n",
    ]
    return "\n".join(parts)


def _row(artifact: Artifact, record: Record) -> tuple[object, ...]:
    names = artifact.names
    images = record.parameters["images"]
    return names["network"], names["paradigm"], names["seed"], names["attack"], images, f"`{record.sha256}`"


def _records(found: Library, artifacts: Iterable[Artifact], what: str) -> Iterator[tuple[str, Record]]:
    """Path -> record of those that have one here."""
    known = ((each.path, read_record(str(found.path(each)))) for each in artifacts)
    here = [(path, record) for path, record in known if record is not None]
    if not here:
        raise UserError(f"no record of a {what} of this protocol is here: `dvc pull` brings those that are published")
    yield from here


def _losses(record: Record) -> str:
    losses = record.checks.get("losses")
    return f"{losses[-1]:.3g}" if losses else "-"


def _origins(records: Iterable[Record]) -> str:
    """On which devices, by which commits and versions, a sentence each."""
    places = [record.environment for record in records if record.environment is not None]
    devices = sorted({place.device for place in places})
    commits = sorted({place.commit or "no commit" for place in places})
    versions = sorted({f"{name} {number}" for place in places for name, number in place.packages.items()})
    return f"On {', '.join(devices)}; by {', '.join(commits)}; with {', '.join(versions)}."


def _front(head: dict[str, Any]) -> str:
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n"


def _table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    heads = list(heads)
    lines = [heads, [":--"] * len(heads), *([str(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
