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
from trigger_activation.store.atomic import write_text

PACKAGE = Path(__file__).parent.parent
COMMITTED = Path(__file__).with_name("fingerprints.json")

TABLES = (
    "report/tables/__init__.py",
    "report/tables/accuracy.py",
    "report/tables/supplementary.py",
    "report/tables/trigger.py",
    "report/tables/cost.py",
    "report/tables/characteristics.py",
    "report/tables/grid.py",
)
"""What builds tables, apart from their wording and look."""

SHARED: Mapping[str, tuple[str, ...]] = {
    "dataset": ("store/arrays.py",),
    "checkpoint": (
        "science/seeds.py",
        "science/training/loop.py",
        "science/training/data.py",
        "science/training/settings.py",
        "science/snapshots.py",
        "science/training/paradigms/__init__.py",
        "science/networks/_small.py",
        "science/precision.py",
        "science/freezing.py",
        "science/_folding.py",
        "science/_winograd.py",
        "store/checkpoints.py",
    ),
    "imported": ("store/checkpoints.py", "store/external.py"),
    "helper": ("science/seeds.py", "science/snapshots.py", "store/checkpoints.py", "store/external.py"),
    "tae": (
        "science/seeds.py",
        "science/attacks/engine.py",
        "science/evaluation/loss.py",
        "science/deployment.py",
        "science/freezing.py",
        "science/_folding.py",
        "science/_winograd.py",
    ),
    "cell": ("science/seeds.py", "science/evaluation/accuracy.py", "science/deployment.py"),
    "trigger": ("science/evaluation/triggers.py", "store/pictures.py"),
    "flip": ("science/evaluation/triggers.py",),
    "concept": (
        "science/evaluation/accuracy.py",
        "science/evaluation/concept.py",
        "science/deployment.py",
        "store/pictures.py",
    ),
    "theory": ("science/evaluation/loss.py", "science/evaluation/theory.py", "science/deployment.py"),
    "cost": ("science/evaluation/timing.py",),
    "purified": ("science/seeds.py", "store/checkpoints.py"),
    "whitebox": (
        "science/seeds.py",
        "science/evaluation/accuracy.py",
        "science/evaluation/white_box.py",
        "science/attacks/engine.py",
        "science/deployment.py",
        "science/freezing.py",
        "science/_folding.py",
        "science/_winograd.py",
    ),
    "table": (
        *TABLES,
        "science/sanity.py",
        "report/tables/facts.py",
        "report/tables/marks.py",
        "science/evaluation/contrast.py",
        "report/tables/templates/table.tex.j2",
        "report/tables/templates/table.md.j2",
    ),
    "figure": (
        "report/figures/__init__.py",
        "report/figures/_labels.py",
        "report/figures/_shared.py",
        "report/figures/concept.py",
        "report/figures/flip.py",
        "report/figures/matrices.py",
        "report/figures/theory.py",
        "report/figures/tradeoff.py",
        "report/figures/triggers.py",
        "report/figures/paper.mplstyle",
        "report/pdf/source.py",
        "report/pdf/templates/figure.tex.j2",
        "store/pictures.py",
        "report/tables/accuracy.py",
        "report/tables/facts.py",
        "report/tables/grid.py",
    ),
    "comparison": (
        "report/published/numbers.py",
        "report/published/claims.py",
        "report/published/verdicts.py",
        "report/published/run.py",
        "report/published/comparison.py",
        "report/published/render.py",
        "report/published/templates/comparison.md.j2",
        "science/evaluation/contrast.py",
        "report/tables/accuracy.py",
        "report/tables/trigger.py",
        "report/tables/facts.py",
        "report/tables/grid.py",
    ),
    "metrics": TABLES,
    "audit": (
        "report/published/numbers.py",
        "report/published/audit.py",
        "report/published/render.py",
        "report/published/templates/audit.md.j2",
        "report/tables/grid.py",
    ),
    "pdf": ("report/pdf/engine.py", "report/pdf/source.py", "report/pdf/templates/paper.tex.j2"),
    "run": ("store/totals.py",),
    "page": (
        "report/page/build.py",
        "report/page/details.py",
        "report/page/render.py",
        "report/page/templates/index.html.j2",
        "report/page/templates/style.css",
        "report/page/templates/page.js",
        "report/published/comparison.py",
    ),
}
"""Code that a stage shares between algorithms: changing it may change what the stage makes."""


SHARED_HELPERS = (".attacks.engine", ".helpers.diffusion", ".science.freezing")
"""Modules that algorithms share and that register none."""


def fingerprints() -> dict[str, dict[str, Any]]:
    """Version and fingerprint of every registered algorithm and every stage."""
    found = {}
    for kind, registry in REGISTRIES.items():
        for name in registry.names():
            code = "\n".join(_code(file) for file in _sources(registry[name]))
            found[f"{kind}/{name}"] = _entry(registry[name].version, code)
    modules = [ast.parse(file.read_text(encoding="utf-8")) for file in sorted((PACKAGE / "run/stages").glob("*.py"))]
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
        private = [
            PACKAGE.parent / f"{module.replace('.', '/')}.py"
            for module in modules
            if "._" in module or module.endswith(SHARED_HELPERS)
        ]
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
