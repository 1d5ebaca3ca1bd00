"""Artifacts and the graph they form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from trigger_activation.errors import UserError, nearest
from trigger_activation.plan.kind import Kind, Names

Inputs = Mapping[str, tuple[str, ...]]
"""Role -> paths of other artifacts."""


@dataclass(frozen=True)
class Artifact:
    """One job's product: what it is made of, and the recipe that identifies it."""

    kind: Kind
    names: Names
    """What stands for the wildcards of its path."""
    parameters: Any
    """Of the kind's model."""
    versions: Mapping[str, int]
    """Of the stage and of each algorithm in ``parameters``."""
    inputs: Inputs
    optional: Inputs = field(default_factory=dict)
    """Artifacts that are read where they are there. Only a complete run makes them first; no recipe covers them."""
    obstacle: str | None = None
    """Why it cannot be made yet, as a sentence."""
    recipe: str = ""

    @cached_property
    def path(self) -> str:
        """Where it lies."""
        return self.kind.path(self.names)

    @cached_property
    def companions(self) -> tuple[str, ...]:
        """Further files that the same job writes and that belong to the artifact."""
        return self._filled(self.kind.companions)

    @cached_property
    def by_products(self) -> tuple[str, ...]:
        """Files that the same job writes but that the artifact is complete without."""
        return self._filled(self.kind.by_products)

    @property
    def files(self) -> tuple[str, ...]:
        """The files without which the artifact is incomplete."""
        return (self.path, *self.companions)

    @property
    def group(self) -> str:
        """The protocol, data set or experiment that it belongs to."""
        return self.names[self.kind.group]

    @property
    def input_paths(self) -> tuple[str, ...]:
        """All inputs, in the order of their roles."""
        return tuple(path for paths in self.inputs.values() for path in paths)

    @property
    def optional_paths(self) -> tuple[str, ...]:
        """All optional inputs."""
        return tuple(path for paths in self.optional.values() for path in paths)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Its parameters as JSON."""
        settings: dict[str, Any] = self.parameters.as_json()
        return settings

    def _filled(self, patterns: Iterable[str]) -> tuple[str, ...]:
        return tuple(pattern.format_map(self.names) for pattern in patterns)


def digest(content: Any) -> str:
    """sha256 of a JSON value in canonical form."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Plan:
    """All artifacts by path, and what each experiment asks for."""

    artifacts: dict[str, Artifact] = field(default_factory=dict)
    targets: dict[str, dict[str, str]] = field(default_factory=dict)
    """Experiment -> table or figure name -> path of its artifact."""
    extras: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Experiment -> paths of what a complete run makes too, though no table or figure needs it."""
    notices: list[str] = field(default_factory=list)
    """What config declares to no use, a sentence each."""

    def add(self, artifact: Artifact) -> str:
        """Add an artifact whose inputs are there already; return its path.

        Raises:
            UserError: it has an input of a role that its kind lacks, or another recipe claims its path.
        """
        _check_roles(artifact)
        recipe = self.recipe(artifact)
        known = self.artifacts.get(artifact.path)
        if known is not None and known.recipe != recipe:
            raise UserError(f"two different recipes claim {artifact.path}: rename one of the variants")
        added = replace(artifact, recipe=recipe)
        vars(added).update(path=artifact.path, settings=artifact.settings)  # Computed once, not for each copy.
        self.artifacts[added.path] = added
        return added.path

    def recipe(self, artifact: Artifact) -> str:
        """The identity of an artifact whose inputs are there already.

        It covers the path (randomness derives from it), the parameters, the versions and the recipes of the inputs:
        a Merkle tree over config alone.
        """
        return digest(
            {
                "path": artifact.path,
                "kind": artifact.kind.name,
                "parameters": artifact.settings,
                "versions": artifact.versions,
                "inputs": {
                    role: [self.artifacts[path].recipe for path in paths] for role, paths in artifact.inputs.items()
                },
            }
        )

    def __getitem__(self, path: str) -> Artifact:
        try:
            return self.artifacts[path]
        except KeyError:
            files = (file for each in self.artifacts.values() for file in (*each.files, *each.by_products))
            close = nearest(path, files)
            remedy = "" if close is None else f"did you mean {close!r}? "
            raise UserError(
                f"{path} is in no experiment's plan: {remedy}`trigact plan EXPERIMENT --full` lists what is, and a "
                "table in config/tables can ask for more"
            ) from None

    def owner(self, file: str) -> Artifact:
        """The artifact that a file belongs to, be it as a companion, a by-product or a sidecar."""
        path = file.removesuffix(".prov.json")
        if path not in self.artifacts:
            for artifact in self.artifacts.values():
                if path in (*artifact.files, *artifact.by_products):
                    return artifact
        return self[path]

    def upstream(self, targets: Iterable[str]) -> Iterator[Artifact]:
        """The targets and all they depend on, each once, inputs first."""
        seen: set[str] = set()
        stack = [(path, False) for path in reversed(list(targets))]
        while stack:
            path, inputs_done = stack.pop()
            if inputs_done:
                yield self[path]
            elif path not in seen:
                seen.add(path)
                stack.append((path, True))
                stack.extend((parent, False) for parent in reversed(self[path].input_paths))

    def of_experiment(self, experiment: str) -> list[Artifact]:
        """Everything that a complete run of one experiment makes, inputs first."""
        return list(self.upstream([*self.targets[experiment].values(), *self.extras.get(experiment, ())]))


def _check_roles(artifact: Artifact) -> None:
    for role in {**artifact.inputs, **artifact.optional}:
        if not artifact.kind.has_role(role):
            raise UserError(
                f"{artifact.path} has an input of the role {role}, which the kind {artifact.kind.name} lacks: name it "
                "in plan/kinds.py"
            )
