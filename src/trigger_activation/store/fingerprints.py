"""Fingerprints of the code that makes results, so that a change of code asks for a change of version.

A recipe names versions, not code: reformatting or a better comment must not retrain anything. What protects the
other direction is a committed list of fingerprints, one per registered algorithm and one per kind of artifact. A test
fails when code changed and its version did not; ``trigact accept`` writes the list anew.

The fingerprint of a kind covers its stage function and what that reaches: functions of the stages and methods of the
job, the modules of ``science`` that its row watches, the formats of files that it writes, the modules of ``report``
that it calls, and whatever of science and reports these import in turn. Registered algorithms have their own.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import importlib
import inspect
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from trigger_activation.parameters import Parameters
from trigger_activation.plan.kind import Kind
from trigger_activation.plan.kinds import KINDS
from trigger_activation.plan.variants import REGISTRIES
from trigger_activation.store.atomic import write_text

PACKAGE = Path(__file__).parent.parent
COMMITTED = Path(__file__).with_name("fingerprints.json")
STAGES, JOB = PACKAGE / "run/stages", PACKAGE / "run/job.py"
CONTENTS = ("arrays", "checkpoints", "external", "pictures", "tae_sets", "totals")
"""Modules of ``store`` that decide bytes of artifacts; the others say where these lie and who made them."""
ASSETS = ("templates/*", "*.mplstyle")
"""Files that modules of a report's package read."""
QUOTES = ("'", '"', '"""', "'''")
T = TypeVar("T", bound=ast.AST)
Statement = tuple[Path, ast.stmt]
Reached = tuple[Path, ast.FunctionDef]
"""A function and the file that it stands in."""


def fingerprints() -> dict[str, dict[str, Any]]:
    """Version and fingerprint of every registered algorithm and every kind of artifact."""
    found = {}
    for kind, registry in REGISTRIES.items():
        for name in registry.names():
            code = "\n".join(_code(file) for file in _sources(registry[name]))
            found[f"{kind}/{name}"] = _entry(registry[name].version, code)
    for row in KINDS:
        stage = [spelled(node) for _, node in _reached(row)]
        found[f"stage/{row.name}"] = _entry(row.version, "\n".join([*stage, *map(_code, watched_files(row))]))
    return found


def watched_files(kind: Kind) -> list[Path]:
    """The modules, and the files that they read, that the bytes of a kind depend on beside its stage."""
    own = [module for module in uses(kind) if module.startswith("report.") or _decides_bytes(module)]
    modules = _closure([*(f"science.{module}" for module in kind.watches), *own])
    return list(dict.fromkeys(file for module in modules for file in (_file(module), *_assets(module))))


def uses(kind: Kind) -> list[str]:
    """The modules of this package that the stage of a kind uses itself, by way of stages and the job; sorted."""
    found: set[str] = set()
    for file, node in _reached(kind):
        names = _names(node)
        found |= {module for alias, module in _imports(_tree(file)) if alias in names}
    return sorted(found)


def _decides_bytes(module: str) -> bool:
    return module.startswith("store.") and module.rpartition(".")[2] in CONTENTS


def _closure(modules: Iterable[str]) -> list[str]:
    """The modules, and the shared ones of science and reports that they import, and so on."""
    found = list(dict.fromkeys(modules))
    for module in found:
        imported = [name for _, name in _imports(_tree(_file(module)))]
        found += [name for name in dict.fromkeys(imported) if name not in found and _is_shared(name)]
    return found


@cache
def _is_shared(module: str) -> bool:
    """Whether it is code of science or reports that no registered algorithm has to itself."""
    if not module.startswith(("science.", "report.")) or not _file(module).exists():
        return False
    return module not in _registering() and not (module.startswith("science.") and _file(module).stem == "__init__")


@cache
def _registering() -> frozenset[str]:
    """The modules that register an algorithm."""
    classes = (registry[name] for registry in REGISTRIES.values() for name in registry.names())
    return frozenset(cls.__module__.removeprefix("trigger_activation.") for cls in classes)


def _file(module: str) -> Path:
    """Of a module below the package."""
    path = PACKAGE / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _assets(module: str) -> list[Path]:
    """What a package of reports reads beside its modules."""
    if not module.startswith("report."):
        return []
    folder = _file(module).parent
    return sorted(file for pattern in ASSETS for file in folder.glob(pattern))


@cache
def _tree(file: Path) -> ast.Module:
    """A module, normalised."""
    return normalised(ast.parse(file.read_text(encoding="utf-8")))


@cache
def _imports(tree: ast.AST) -> tuple[tuple[str, str], ...]:
    """Name and module of everything that code imports from this package; a module imported by name is itself meant."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trigger_activation."):
            module = str(node.module).removeprefix("trigger_activation.")
            modules = ((alias, f"{module}.{alias.name}") for alias in node.names)
            found += [(alias.asname or alias.name, own if _file(own).exists() else module) for alias, own in modules]
    return tuple(found)


def _names(tree: ast.AST) -> set[str]:
    """What code names, but for annotations: variables, functions and modules."""
    annotations = [getattr(node, field, None) for node in ast.walk(tree) for field in ("annotation", "returns")]
    silent = {id(node) for annotation in annotations if annotation for node in ast.walk(annotation)}
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in silent}


def _sources(algorithm: type[Parameters]) -> list[Path]:
    """Files of the classes that an algorithm consists of (its own, its bases', its components') and their helpers.

    What the row of its kind watches is the kind's, unless a component brings it to another stage.
    """
    common = {_file(module) for module in _closure(f"science.{module}" for kind in KINDS for module in kind.watches)}
    own = [file for file in _with_helpers(_files_of(algorithm)) if file not in common]
    return list(
        dict.fromkeys([*own, *(file for used in algorithm.components for file in _with_helpers(_files_of(used)))])
    )


def _files_of(algorithm: type[Parameters]) -> list[Path]:
    classes = [cls for cls in algorithm.__mro__ if issubclass(cls, Parameters) and cls is not Parameters]
    return [Path(str(inspect.getsourcefile(importlib.import_module(cls.__module__)))) for cls in classes]


def _with_helpers(files: list[Path]) -> list[Path]:
    """The files, and the modules that they share with other algorithms."""
    modules = [_module(file) for file in files]
    return [*files, *(_file(module) for module in _closure(modules) if module not in modules)]


def _module(file: Path) -> str:
    path = file.relative_to(PACKAGE).with_suffix("")
    return ".".join((path.parent if path.name == "__init__" else path).parts)


def _entry(version: int, code: str) -> dict[str, Any]:
    return {"version": version, "sha256": hashlib.sha256(code.encode()).hexdigest()}


def _code(file: Path) -> str:
    return spelled(_tree(file)) if file.suffix == ".py" else file.read_text(encoding="utf-8")


@cache
def _reached(kind: Kind) -> list[Reached]:
    """What the stage function of a kind reaches of stages and the job."""
    stages = [(file, node) for file in sorted(STAGES.glob("*.py")) for node in _tree(file).body]
    return reached(kind.stage.partition(":")[2], stages, [(JOB, node) for node in _tree(JOB).body])


def reached(function: str, stages: Iterable[Statement], job: Iterable[Statement]) -> list[Reached]:
    """What a function reaches of some functions by name, and of the methods of ``Job`` as attributes of anything."""
    functions = {node.name: (file, node) for file, node in stages if isinstance(node, ast.FunctionDef)}
    classes = [(file, node) for file, node in job if isinstance(node, ast.ClassDef) and node.name == "Job"]
    methods = {m.name: (file, m) for file, cls in classes for m in cls.body if isinstance(m, ast.FunctionDef)}
    found = {function: functions[function]}
    waiting = [function]
    while waiting:
        _, node = found[waiting.pop()]
        asked = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)} & methods.keys()
        named = _names(node) & functions.keys()
        new = {**{n: methods[n] for n in sorted(asked)}, **{n: functions[n] for n in sorted(named)}}
        waiting += [name for name in new if name not in found]
        found = {**new, **found}
    return list(found.values())


def normalised(tree: T) -> T:
    """Code without docstrings; comments and layout are none of its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            node.body = body or [ast.Pass()]
    return tree


def spelled(tree: ast.AST) -> str:
    """Code as text, the same on every Python: from 3.12 on ``ast.unparse`` nests equal quotes in f-strings."""
    return ast.unparse(_Quoting().visit(copy.deepcopy(tree)))


class _Quoting(ast.NodeTransformer):
    """Spells f-strings as Python 3.11 does, in the first quotes that stand nowhere inside; as names, which stay so."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Name:
        """From the inside out."""
        inside = "".join(self._part(value) for value in node.values)
        quote = next(quote for quote in QUOTES if quote not in inside)
        return ast.Name(f"f{quote}{inside}{quote}")

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.FormattedValue:
        """The format stays a part of the f-string around it."""
        node.value = self.visit(node.value)
        if isinstance(node.format_spec, ast.JoinedStr):
            node.format_spec.values = [self.visit(value) for value in node.format_spec.values]
        return node

    def _part(self, value: ast.expr) -> str:
        text = ast.unparse(ast.JoinedStr([self.visit(value)])).removeprefix("f")
        width = 3 if text.startswith(QUOTES[2:]) else 1
        return text[width:-width]


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
