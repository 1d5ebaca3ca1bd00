"""Reads ``config/`` and reports the first mistake in one sentence: file, key, what is wrong, remedy."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from trigger_activation.errors import UserError, suggest
from trigger_activation.plan.config import schema
from trigger_activation.plan.config.names import check_names
from trigger_activation.plan.config.paper import Paper
from trigger_activation.plan.config.schema import DOCUMENT_FOLDERS, ENTRY_FOLDERS, Config
from trigger_activation.plan.config.values import SLUG

M = TypeVar("M")
_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


DEEPEST = 100
"""Mappings and lists inside each other: the C library that reads YAML crashes at some thousands."""
MOST_NODES = 100_000
"""Of a file, counting again what an alias repeats."""


class _StrictLoader(yaml.CSafeLoader):
    """Safe YAML that refuses a key given twice, and what could fill the memory or the stack."""

    _depth = 0

    def descend_resolver(self, current_node: yaml.Node | None, current_index: Any) -> None:
        self._depth += 1
        if current_node is not None and self._depth > DEEPEST:
            raise self._refused("this is nested too deeply: write it flatter", current_node)
        super().descend_resolver(current_node, current_index)

    def ascend_resolver(self) -> None:
        self._depth -= 1
        super().ascend_resolver()

    def construct_document(self, node: yaml.Node) -> Any:
        waiting, met = [node], 0
        while waiting:
            met += 1
            if met > MOST_NODES:
                raise self._refused("its aliases repeat too much: write out what they stand for", node)
            waiting += _children(waiting.pop())
        return super().construct_document(node)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        value = super().construct_yaml_int(node)
        if abs(value) >= 2**63:
            raise self._refused("this number is too large: write a smaller one", node)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._refused("a key must be plain text: write `key: value`", key_node)
            if key_node.value in seen:
                raise self._refused(f"the key {key_node.value!r} is given twice: keep one", key_node)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)

    @staticmethod
    def _refused(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
        return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_yaml_int)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        UserError: the file is absent, no YAML, or no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: create it, or check the folder you run in") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8: save it again in that encoding") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}, line {line}: {error.problem or 'this is no valid YAML'}") from None
    except Exception as error:  # A tag that does not fit its value may raise nearly anything.
        raise UserError(f"{path}: this is no valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no mapping: write `key: value` lines")
    return {str(key): value for key, value in content.items()}


def validate(model: type[M], content: Any, where: str, prefix: str = "") -> M:
    """Check ``content`` against a model; the first mistake becomes the sentence of a ``UserError``."""
    try:
        checked: M = _adapter(model).validate_python(content)
        return checked
    except ValidationError as error:
        raise UserError(f"{where}: {_sentence(error.errors()[0], content, prefix)}") from None


def load_config(root: Path, experiment: str | None = None) -> Config:
    """Read all of ``config/`` and check every name that one file uses of another.

    Args:
        root: the ``config`` folder.
        experiment: replaces the default of ``config.yaml``.
    """
    settings = validate(schema.Settings, read_yaml(root / "config.yaml"), str(root / "config.yaml"))
    content: dict[str, Any] = {"experiment": experiment or settings.experiment, "offered": settings.offered}
    for folder, model in ENTRY_FOLDERS.items():
        content[folder] = dict(_entries(root / folder, model))
    for folder, document_model in DOCUMENT_FOLDERS.items():
        content[folder] = {
            name: validate(document_model, document, str(root / folder / f"{name}.yaml"))
            for name, document in _documents(root / folder).items()
        }
    content["published"] = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((root / "published").glob("*.csv"))
    }
    about = root / "published/paper.yaml"
    if about.exists():
        content["paper"] = validate(Paper, read_yaml(about), str(about))
    config = validate(Config, content, str(root))
    check_names(config, root)
    return config


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.yaml"))


def _documents(folder: Path) -> dict[str, dict[str, Any]]:
    """Every file of a folder; `like: other` takes the keys that a file leaves out from another one.

    The files that others are like come first, so that a mistake is found where it stands and not where it is inherited.
    """
    documents = {_checked_name(path.stem, path): read_yaml(path) for path in _files(folder)}
    ordered = sorted(documents, key=lambda name: "like" in documents[name])
    return {name: _completed(name, documents, folder) for name in ordered}


def _completed(name: str, documents: dict[str, dict[str, Any]], folder: Path) -> dict[str, Any]:
    document = dict(documents[name])
    parent = document.pop("like", None)
    if parent is None:
        return document
    if not isinstance(parent, str) or "like" in documents.get(parent, {"like": None}):
        raise UserError(f"{folder / name}.yaml: like: {parent} is no file of its own in {folder}: name one that is")
    return {**documents[parent], **document}


def _entries(folder: Path, model: type[schema.Declared]) -> Iterator[tuple[str, schema.Declared]]:
    origin: dict[str, Path] = {}
    for path in _files(folder):
        for name, entry in read_yaml(path).items():
            if _checked_name(name, path) in origin:
                raise UserError(f"{path}: {name} is declared in {origin[name]} already: rename one of them")
            origin[name] = path
            yield name, validate(model, entry, str(path), name).declared_in(str(path))


def _checked_name(name: str, file: Path) -> str:
    if not re.fullmatch(SLUG, name):
        raise UserError(
            f"{file}: {name!r} is no valid name: use lower-case letters, digits, hyphens and single underscores"
        )
    return name


def _sentence(error: ErrorDetails, content: Any, prefix: str) -> str:
    key = ".".join(part for part in (prefix, *_keys(error, content)) if part)
    if error["type"] == "unknown_key":
        return f"{key}.{error['msg']}".removeprefix(".")
    if error["type"] == "union_tag_invalid":
        kinds = [kind.strip("'") for kind in error["ctx"]["expected_tags"].split(", ")]
        return f"kind: there is no kind {error['ctx']['tag']!r}: {suggest(error['ctx']['tag'], kinds)}"
    if error["type"] == "union_tag_not_found":
        return "kind is missing: add it"
    if error["type"] == "missing":
        return f"{key} is missing: add it"
    message = " ".join(error["msg"].removeprefix("Value error, ").split())
    return f"{key or 'the file'}: {message[0].lower() + message[1:]}"


def _keys(error: ErrorDetails, content: Any) -> Iterator[str]:
    """Where the mistake stands, without the names that pydantic gives to its own validators and union members."""
    for part in error["loc"]:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            if error["type"] != "missing" or part != error["loc"][-1]:
                continue
        yield str(part)
