"""Reads ``config/`` and reports the first mistake in one sentence: file, key, what is wrong, remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from trigger_activation.config import schema
from trigger_activation.config.schema import Config
from trigger_activation.errors import UserError
from trigger_activation.registry import suggest

M = TypeVar("M", bound=BaseModel)

VARIANT_FOLDERS: Mapping[str, type[schema.Variant]] = {
    "datasets": schema.DatasetVariant,
    "networks": schema.Variant,
    "paradigms": schema.Variant,
    "attacks": schema.Variant,
    "preprocessing": schema.PreprocessingVariant,
}
"""Folders whose files map names to variants; a variant may stand in any file of its folder."""

DOCUMENT_FOLDERS = ("protocols", "tables", "figures", "experiments")
"""Folders where each file is one named object."""


class _UniqueKeyLoader(yaml.CSafeLoader):
    """Safe YAML that refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice: keep one", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        UserError: the file is absent, no YAML, or no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: create it, or check the folder you run in") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8: save it again in that encoding") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}, line {line}: {error.problem or 'this is no valid YAML'}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: this is no valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no mapping: write `key: value` lines")
    return {str(key): value for key, value in content.items()}


def validate(model: type[M], content: Any, where: str, prefix: str = "") -> M:
    """Check ``content`` against a model; the first mistake becomes the sentence of a ``UserError``."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{where}: {_sentence(error, model, prefix)}") from None


def load_config(root: Path, experiment: str | None = None) -> Config:
    """Read all of ``config/`` and check every name that one file uses of another.

    Args:
        root: the ``config`` folder.
        experiment: replaces the default of ``config.yaml``.
    """
    content: dict[str, Any] = {"experiment": experiment or read_yaml(root / "config.yaml").get("experiment")}
    for folder, model in VARIANT_FOLDERS.items():
        content[folder] = dict(_variants(root / folder, model))
    for folder in DOCUMENT_FOLDERS:
        content[folder] = _documents(root / folder)
        for name, document in content[folder].items():
            validate(_One[folder], {"document": document}, str(root / folder / f"{name}.yaml"), "document")
    config = validate(Config, content, str(root))
    check_names(config, root)
    return config


class _OneProtocol(BaseModel):
    document: schema.Protocol


class _OneTable(BaseModel):
    document: schema.Table


class _OneFigure(BaseModel):
    document: schema.Figure


class _OneExperiment(BaseModel):
    document: schema.Experiment


_One: Mapping[str, type[BaseModel]] = dict(
    zip(DOCUMENT_FOLDERS, (_OneProtocol, _OneTable, _OneFigure, _OneExperiment), strict=True)
)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.yaml"))


def _documents(folder: Path) -> dict[str, dict[str, Any]]:
    """Every file of a folder; `like: other` takes the keys that a file leaves out from another one."""
    documents = {path.stem: read_yaml(path) for path in _files(folder)}
    return {name: _completed(name, documents, folder) for name in documents}


def _completed(name: str, documents: dict[str, dict[str, Any]], folder: Path) -> dict[str, Any]:
    document = dict(documents[name])
    parent = document.pop("like", None)
    if parent is None:
        return document
    if "like" in documents.get(parent, {"like": None}):
        raise UserError(f"{folder / name}.yaml: like: {parent} is no file of its own in {folder}: name one that is")
    return {**documents[parent], **document}


def _variants(folder: Path, model: type[schema.Variant]) -> Iterator[tuple[str, schema.Variant]]:
    origin: dict[str, Path] = {}
    for path in _files(folder):
        for name, entry in read_yaml(path).items():
            if name in origin:
                raise UserError(f"{path}: {name} is declared in {origin[name]} already: rename one of them")
            origin[name] = path
            yield name, validate(model, entry, str(path), name).declared_in(str(path))


def _sentence(error: ValidationError, model: type[BaseModel], prefix: str) -> str:
    first = error.errors()[0]
    keys = [str(part) for part in first["loc"]]
    if prefix == "document":
        keys, prefix = keys[1:], ""
    key = ".".join([prefix, *keys] if prefix else keys) or "the file"
    if first["type"] == "extra_forbidden":
        return f"{key} is no known key: {suggest(keys[-1], sorted(_field_names(model)))}"
    if first["type"] == "missing":
        return f"{key} is missing: add it"
    message = first["msg"].removeprefix("Value error, ")
    return f"{key}: {message[0].lower() + message[1:]}"


def _field_names(model: type[BaseModel]) -> set[str]:
    names = {info.alias or name for name, info in model.model_fields.items()}
    if issubclass(model, schema.Strict) or model in _One.values():
        for member in vars(schema).values():
            if isinstance(member, type) and issubclass(member, schema.Strict):
                names |= {info.alias or name for name, info in member.model_fields.items()}
    return names


def check_names(config: Config, root: Path) -> None:
    """Every name that config uses is declared, and every declared variant is used.

    Raises:
        UserError: naming the file, the key and the closest known name.
    """
    _require(config.experiment, config.experiments, root / "config.yaml", "experiment", "experiment")
    for name, protocol in config.protocols.items():
        _check_protocol(config, protocol, root / "protocols" / f"{name}.yaml")
    for name, table in config.tables.items():
        _check_table(config, table, root / "tables" / f"{name}.yaml")
    for name, experiment in config.experiments.items():
        _check_experiment(config, experiment, root / "experiments" / f"{name}.yaml")


def _require(name: str, known: Iterable[str], file: Path, key: str, kind: str) -> None:
    names = sorted(known)
    if name not in names:
        raise UserError(f"{file}: {key} names the {kind} {name!r}, which does not exist: {suggest(name, names)}")


def _check_protocol(config: Config, protocol: schema.Protocol, file: Path) -> None:
    _require(protocol.dataset, config.datasets, file, "dataset", "data set")
    for network in protocol.networks:
        _require(network, config.networks, file, "networks", "network")
    if protocol.flip is not None:
        _require(protocol.flip.network, protocol.networks, file, "flip.network", "network of this protocol")
    for paradigm in protocol.seeds.paradigms:
        _require(paradigm, config.paradigms, file, "seeds.paradigms", "paradigm")
    for role, variant in protocol.roles.items():
        known = [*config.paradigms, *config.preprocessing]
        _require(variant, known, file, f"roles.{role}", "paradigm or preprocessing")
    for kind in ("paradigms", "attacks", "preprocessing"):
        for variant in getattr(protocol.overrides, kind):
            _require(variant, getattr(config, kind), file, f"overrides.{kind}", kind.removesuffix("s"))


def _check_table(config: Config, table: schema.Table, file: Path) -> None:
    if isinstance(table, schema.AccuracyTable):
        for row in table.rows:
            _require(row, config.attacks, file, "rows", "attack")
    _check_columns(config, table.columns, file)


def _check_columns(config: Config, columns: Iterable[schema.Column], file: Path) -> None:
    roles = {role for protocol in config.protocols.values() for role in protocol.roles}
    for column in columns:
        _require(column.victim, {*config.paradigms, *roles}, file, "columns.victim", "paradigm or role")
        if column.preprocessing is not None:
            known = {*config.preprocessing, *roles}
            _require(column.preprocessing, known, file, "columns.preprocessing", "preprocessing or role")


def _check_experiment(config: Config, experiment: schema.Experiment, file: Path) -> None:
    for slot, protocol in experiment.slots.items():
        _require(protocol, config.protocols, file, f"slots.{slot}", "protocol")
    for figure in experiment.figures:
        _require(figure, config.figures, file, "figures", "figure")
    for name, selection in experiment.tables.items():
        _require(name, config.tables, file, "tables", "table")
        for row in selection.rows or []:
            _require(row, config.attacks, file, f"tables.{name}.rows", "attack")
        _check_columns(config, selection.columns or [], file)
