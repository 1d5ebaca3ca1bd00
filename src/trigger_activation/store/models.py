"""The published networks as models that DVC knows by name, for `dvc artifacts get` and registries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from trigger_activation.plan.graph import Artifact, Plan
from trigger_activation.plan.kinds import CHECKPOINT
from trigger_activation.store import dvc
from trigger_activation.store.atomic import write_text

MODELS = Path(CHECKPOINT.folder, "dvc.yaml")
NOTE = """\
# The published networks by name, written by `trigact publish`: `dvc get REPOSITORY PATH`, `dvc artifacts get`.
"""


def declare_models(plan: Plan) -> None:
    """Name every published network that the plan knows; nothing is written if nothing changed."""
    folder = MODELS.parent
    listed = [file for each in sorted(folder.glob("*.dvc")) for file in dvc.listed(each.with_suffix(""))]
    found = {_name(plan[file]): _entry(plan[file]) for file in listed if file in plan.artifacts}
    text = NOTE + yaml.safe_dump({"artifacts": found}, sort_keys=True, allow_unicode=True)
    if found and (not MODELS.exists() or MODELS.read_text(encoding="utf-8") != text):
        write_text(MODELS, text)


def _name(artifact: Artifact) -> str:
    """A name as DVC wants it: letters, digits and hyphens."""
    path = Path(artifact.path).relative_to(MODELS.parent).with_suffix("")
    words = "-".join(path.parts).replace("__", "-").replace("_", "-").replace(".", "-")
    return words.lower()


def _entry(artifact: Artifact) -> dict[str, Any]:
    names = [
        artifact.names[key] for key in ("network", "paradigm", "victim", "helper", "objective") if key in artifact.names
    ]
    return {
        "path": str(Path(artifact.path).relative_to(MODELS.parent)),
        "type": "model",
        "desc": f"{' trained as '.join(names[:2])}, protocol {artifact.group}",
        "labels": [artifact.group, *names],
    }
