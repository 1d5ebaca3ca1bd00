"""All parameters behind an experiment, by name: what two commits can be compared by."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trigger_activation.plan.graph import Artifact


def all_settings(artifacts: Iterable[Artifact]) -> dict[str, Any]:
    """Protocol or data set -> kind of artifact -> variant -> parameters, resolved; networks and seeds share them."""
    found: dict[str, Any] = {}
    for artifact in artifacts:
        if artifact.path.startswith("results/"):
            kinds = found.setdefault(Path(artifact.path).parts[2], {})
            parameters = {**artifact.parameters, "versions": dict(artifact.versions)}
            if artifact.kind == "checkpoint":
                network, _, _ = Path(artifact.path).parts[3].partition("__")
                kinds.setdefault("network", {})[network] = parameters.pop("network")
                del parameters["seed"]
            if artifact.kind == "cell":
                del parameters["surrogates"], parameters["attack"]
            kinds.setdefault(artifact.kind, {})[_variant(artifact)] = parameters
    return found


def _variant(artifact: Artifact) -> str:
    """The part of the path that says what the artifact's parameters are."""
    parts = Path(artifact.path).with_suffix("").parts
    match artifact.kind:
        case "checkpoint":
            return parts[3].partition("__")[2]
        case "helper":
            return parts[3]
        case "tae" | "cell":
            return parts[-1]
        case "purified":
            return parts[-1].rpartition("__")[2]
        case _:
            return "/".join(parts[3:])
