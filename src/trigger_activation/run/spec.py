"""Specs: the part of the plan that one job needs, frozen when the job is submitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from trigger_activation.errors import UserError
from trigger_activation.plan.graph import Artifact, Inputs, Plan
from trigger_activation.store.atomic import write_text


class InputReference(BaseModel):
    """An input and the recipe it must have."""

    model_config = ConfigDict(frozen=True)

    path: str
    recipe: str


class Spec(BaseModel):
    """Everything a stage needs to know, as written to ``results/specs``; config is not read again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    kind: str
    recipe: str
    parameters: dict[str, Any]
    versions: dict[str, int]
    inputs: dict[str, list[InputReference]]
    optional: dict[str, list[InputReference]]
    companions: list[str]
    by_products: list[str]


def write_spec(plan: Plan, artifact: Artifact) -> Path:
    """Write the spec of an artifact, unless the same one is there."""
    spec = Spec(
        path=artifact.path,
        kind=artifact.kind.name,
        recipe=artifact.recipe,
        parameters=artifact.settings,
        versions=dict(artifact.versions),
        inputs=_references(plan, artifact.inputs),
        optional=_references(plan, artifact.optional),
        companions=list(artifact.companions),
        by_products=list(artifact.by_products),
    )
    path = Path(f"results/specs/{artifact.path}.json")
    text = spec.model_dump_json(indent=1)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return path


def _references(plan: Plan, inputs: Inputs) -> dict[str, list[InputReference]]:
    return {
        role: [InputReference(path=path, recipe=plan[path].recipe) for path in paths] for role, paths in inputs.items()
    }


def read_spec(path: Path, recipe: str) -> Spec:
    """Read a spec and check that it is the one that the submitter meant.

    Raises:
        UserError: the file is damaged or holds another recipe.
    """
    try:
        spec = Spec.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        raise UserError(f"{path} is missing or damaged: start the run again, which writes it anew") from None
    if spec.recipe != recipe:
        raise UserError(f"{path} was changed after this job was planned: start the run again")
    return spec
