"""All parameters behind an experiment, by name: what two commits can be compared by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trigger_activation.plan.graph import Artifact
from trigger_activation.plan.recipes import CellParameters, CheckpointParameters


def all_settings(artifacts: Iterable[Artifact]) -> dict[str, Any]:
    """Protocol or data set -> kind of artifact -> variant -> parameters, resolved; networks and seeds share them."""
    found: dict[str, Any] = {}
    for artifact in artifacts:
        kind, names = artifact.kind, artifact.names
        if kind.is_rendered:
            continue
        kinds = found.setdefault(artifact.group, {})
        parameters = {**artifact.settings, "versions": dict(artifact.versions)}
        if isinstance(artifact.parameters, CheckpointParameters):
            kinds.setdefault("network", {})[names["network"]] = parameters.pop("network")
            del parameters["seed"]
        if isinstance(artifact.parameters, CellParameters):
            del parameters["surrogates"], parameters["attack"]
        kinds.setdefault(kind.name, {})[kind.variant.format_map(names)] = parameters
    return found
