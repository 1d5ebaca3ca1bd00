"""Fingerprints of the code that makes results, so that a change of code asks for a change of version.

A recipe names versions, not code: reformatting or a better comment must not retrain anything. What protects the
other direction is a committed list of fingerprints, one per registered algorithm and one per stage. A test fails when
code changed and its version did not; ``trigact accept`` writes the list anew.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trigger_activation.parameters import Parameters
from trigger_activation.plan.artifacts import STAGE_VERSIONS
from trigger_activation.plan.variants import REGISTRIES
from trigger_activation.storage.atomic import write_text

PACKAGE = Path(__file__).parent.parent
COMMITTED = Path(__file__).with_name("fingerprints.json")

TABLES = (
    "tables/__init__.py",
    "tables/accuracy.py",
    "tables/supplementary.py",
    "tables/trigger.py",
    "tables/cost.py",
    "tables/characteristics.py",
    "tables/grid.py",
)
"""What builds tables, apart from their wording and look."""

SHARED: Mapping[str, tuple[str, ...]] = {
    "dataset": ("storage/arrays.py",),
    "checkpoint": (
        "seeds.py",
        "training/loop.py",
        "training/data.py",
        "training/settings.py",
        "training/snapshots.py",
        "training/paradigms/__init__.py",
        "networks/_small.py",
        "networks/_precision.py",
        "networks/_modes.py",
        "networks/_folding.py",
        "networks/_winograd.py",
        "storage/checkpoints.py",
    ),
    "imported": ("storage/checkpoints.py", "storage/external.py"),
    "helper": ("seeds.py", "training/snapshots.py", "storage/checkpoints.py", "storage/external.py"),
    "tae": (
        "seeds.py",
        "attacks/_engine.py",
        "evaluation/loss.py",
        "networks/_deployed.py",
        "networks/_modes.py",
        "networks/_folding.py",
        "networks/_winograd.py",
    ),
    "cell": ("seeds.py", "evaluation/accuracy.py", "networks/_deployed.py"),
    "trigger": ("evaluation/triggers.py", "storage/pictures.py"),
    "flip": ("evaluation/triggers.py",),
    "concept": ("evaluation/accuracy.py", "evaluation/concept.py", "networks/_deployed.py", "storage/pictures.py"),
    "theory": ("evaluation/loss.py", "evaluation/theory.py", "networks/_deployed.py"),
    "cost": ("evaluation/timing.py",),
    "purified": ("seeds.py", "storage/checkpoints.py"),
    "whitebox": (
        "seeds.py",
        "evaluation/accuracy.py",
        "evaluation/white_box.py",
        "attacks/_engine.py",
        "networks/_deployed.py",
        "networks/_modes.py",
        "networks/_folding.py",
        "networks/_winograd.py",
    ),
    "table": (
        *TABLES,
        "sanity.py",
        "tables/facts.py",
        "tables/marks.py",
        "evaluation/contrast.py",
        "tables/templates/table.tex.j2",
        "tables/templates/table.md.j2",
    ),
    "figure": (
        "figures/__init__.py",
        "figures/_labels.py",
        "figures/_shared.py",
        "figures/concept.py",
        "figures/flip.py",
        "figures/matrices.py",
        "figures/theory.py",
        "figures/tradeoff.py",
        "figures/triggers.py",
        "figures/paper.mplstyle",
        "document/source.py",
        "document/templates/figure.tex.j2",
        "storage/pictures.py",
        "tables/accuracy.py",
        "tables/facts.py",
        "tables/grid.py",
    ),
    "comparison": (
        "published/numbers.py",
        "published/claims.py",
        "published/verdicts.py",
        "published/run.py",
        "published/comparison.py",
        "published/render.py",
        "published/templates/comparison.md.j2",
        "evaluation/contrast.py",
        "tables/accuracy.py",
        "tables/trigger.py",
        "tables/facts.py",
        "tables/grid.py",
    ),
    "metrics": TABLES,
    "audit": (
        "published/numbers.py",
        "published/audit.py",
        "published/render.py",
        "published/templates/audit.md.j2",
        "tables/grid.py",
    ),
    "pdf": ("document/engine.py", "document/source.py", "document/templates/paper.tex.j2"),
    "run": ("provenance/run.py",),
    "page": (
        "page/build.py",
        "page/details.py",
        "page/render.py",
        "page/templates/index.html.j2",
        "page/templates/style.css",
        "page/templates/page.js",
        "published/comparison.py",
    ),
}
"""Code that a stage shares between algorithms: changing it may change what the stage makes."""


def fingerprints() -> dict[str, dict[str, Any]]:
    """Version and fingerprint of every registered algorithm and every stage."""
    found = {}
    for kind, registry in REGISTRIES.items():
        for name in registry.names():
            code = "\n".join(_code(file) for file in _sources(registry[name]))
            found[f"{kind}/{name}"] = _entry(registry[name].version, code)
    modules = [ast.parse(file.read_text(encoding="utf-8")) for file in sorted((PACKAGE / "stages").glob("*.py"))]
    stages = [node for module in modules for node in module.body]
    for stage, files in SHARED.items():
        code = "\n".join([stage_code(stages, f"make_{stage}"), *(_code(PACKAGE / file) for file in files)])
        found[f"stage/{stage}"] = _entry(STAGE_VERSIONS[stage], code)
    return found


def _sources(algorithm: type[Parameters]) -> list[Path]:
    """Files of the classes that an algorithm consists of (its own, its bases', its components') and their helpers.

    What its stage shares between algorithms is the stage's to watch, unless a component brings it to another stage.
    """
    common = {PACKAGE / file for files in SHARED.values() for file in files}
    own = [file for file in _with_helpers(_files_of(algorithm)) if file not in common]
    return list(
        dict.fromkeys([*own, *(file for used in algorithm.components for file in _with_helpers(_files_of(used)))])
    )


def _files_of(algorithm: type[Parameters]) -> list[Path]:
    classes = [cls for cls in algorithm.__mro__ if issubclass(cls, Parameters) and cls is not Parameters]
    return [Path(str(inspect.getsourcefile(importlib.import_module(cls.__module__)))) for cls in classes]


def _with_helpers(files: list[Path]) -> list[Path]:
    """The files, and the modules of this package named with an underscore that they import, and so on."""
    found = list(files)
    for file in found:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        private = [PACKAGE.parent / f"{module.replace('.', '/')}.py" for module in modules if "._" in module]
        found += [helper for helper in private if helper.exists() and helper not in found]
    return found


def _entry(version: int, code: str) -> dict[str, Any]:
    return {"version": version, "sha256": hashlib.sha256(code.encode()).hexdigest()}


def _code(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    return normalised(ast.parse(text)) if file.suffix == ".py" else text


def stage_code(stages: Sequence[ast.stmt], function: str) -> str:
    """A stage function and the functions of the stages that it reaches."""
    local = {node.name: node for node in stages if isinstance(node, ast.FunctionDef)}
    reached, waiting = dict.fromkeys([function]), [function]
    while waiting:
        used = {node.id for node in ast.walk(local[waiting.pop()]) if isinstance(node, ast.Name)}
        new = [name for name in sorted(used & local.keys()) if name not in reached]
        reached |= dict.fromkeys(new)
        waiting += new
    return "\n".join(normalised(local[name]) for name in reached)


def normalised(tree: ast.AST) -> str:
    """Source without comments, docstrings and layout."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            node.body = body or [ast.Pass()]
    return ast.unparse(tree)


def changed_without_version() -> list[str]:
    """Names whose code is not the committed one although the version is."""
    committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
    return [
        name
        for name, entry in fingerprints().items()
        if name not in committed
        or (entry["version"] == committed[name]["version"] and entry["sha256"] != committed[name]["sha256"])
    ]


def accept() -> None:
    """Write the list as the code is now."""
    write_text(COMMITTED, json.dumps(fingerprints(), indent=1, sort_keys=True) + "\n")
