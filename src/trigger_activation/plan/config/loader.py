"""Reads ``config/`` and reports the first mistake in one sentence: file, key, what is wrong, remedy."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from trigger_activation.errors import UserError, suggest
from trigger_activation.plan.config import schema
from trigger_activation.plan.config.paper import Paper
from trigger_activation.plan.config.schema import SLUG, Config

M = TypeVar("M")
_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)

ENTRY_FOLDERS: Mapping[str, type[schema.Declared]] = {
    "datasets": schema.DatasetVariant,
    "networks": schema.NetworkVariant,
    "paradigms": schema.Variant,
    "attacks": schema.AttackVariant,
    "preprocessing": schema.Variant,
    "helpers": schema.HelperVariant,
    "victims": schema.Victim,
}
"""Folders whose files map names to entries; an entry may stand in any file of its folder."""

DOCUMENT_FOLDERS: Mapping[str, Any] = {
    "protocols": schema.Protocol,
    "tables": schema.Table,
    "figures": schema.Figure,
    "experiments": schema.Experiment,
}
"""Folders where each file is one named object."""


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


def check_names(config: Config, root: Path) -> None:
    """Every name that config uses is declared, and every declared variant is used.

    Raises:
        UserError: naming the file, the key and the closest known name.
    """
    _require(config.experiment, config.experiments, root / "config.yaml", "experiment", "experiment")
    _check_offered(config, root / "config.yaml")
    _check_reserved(config)
    _check_victims(config)
    for name in config.tables.keys() & config.figures.keys():
        raise UserError(f"{root / 'figures' / name}.yaml has the name of a table: rename one of them")
    for name in REPORT_NAMES & {*config.tables, *config.figures}:
        raise UserError(f"{root}: a table or figure has the name {name}, which reports use: rename it")
    for name, protocol in config.protocols.items():
        _check_protocol(config, protocol, root / "protocols" / f"{name}.yaml")
    for name, table in config.tables.items():
        _check_table(config, table, root / "tables" / f"{name}.yaml")
    for name, figure in config.figures.items():
        _check_figure(config, figure, root / "figures" / f"{name}.yaml")
    for name, experiment in config.experiments.items():
        _check_experiment(config, experiment, root / "experiments" / f"{name}.yaml")


REPORT_NAMES = {"findings", "comparison", "claims", "audit", "metrics", "parameters"}
"""Files in ``paper_tables`` that are neither tables nor figures."""

RESERVED: Mapping[str, set[str]] = {
    "attacks": {"clean"},
    "paradigms": {"none", "clean", "measured"},
    "preprocessing": {"none"},
    "victims": {"none"},
}
"""Names that paths of cells use for something else."""


def _check_offered(config: Config, file: Path) -> None:
    for kind, names in config.offered.items():
        _require(kind, ENTRY_FOLDERS, file, "offered", "folder of config")
        for name in names:
            _require(name, getattr(config, kind), file, f"offered.{kind}", "variant")


def _check_reserved(config: Config) -> None:
    for kind, reserved in RESERVED.items():
        for name in reserved & getattr(config, kind).keys():
            file = getattr(config, kind)[name].file
            raise UserError(
                f"{file}: the name {name!r} stands for something else in the paths of cells: choose another"
            )


def _check_victims(config: Config) -> None:
    """A column's ``victim`` means one thing: no imported victim has the name of something else that columns show."""
    roles = {role for protocol in config.protocols.values() for role in protocol.roles}
    for name, victim in config.victims.items():
        if name in {*config.paradigms, *config.preprocessing, *roles}:
            raise UserError(
                f"{victim.file}: {name} is the name of a paradigm, a preprocessing or a role already: choose another"
            )
        _require(victim.network, config.networks, Path(victim.file), f"{name}.network", "network")


def _refuse_imported(config: Config, name: str, file: Path, key: str) -> None:
    if name in config.victims:
        raise UserError(
            f"{file}: {key} names {name} of config/victims, but only accuracy tables with `surrogates: standard` can "
            "show a network that was trained elsewhere: leave it out here"
        )


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
    if protocol.cost is not None:
        _require(protocol.cost.network, protocol.networks, file, "cost.network", "network of this protocol")
    if protocol.white_box is not None:
        _require(schema.WHITE_BOX, config.attacks, file, "white_box", "attack")
    if protocol.informed is not None:
        _check_informed(config, protocol, protocol.informed, file)
    for paradigm in protocol.seeds.paradigms:
        _require(paradigm, config.paradigms, file, "seeds.paradigms", "paradigm")
    _check_seeds(protocol.seeds, file)
    for role, variant in protocol.roles.items():
        known = [*config.paradigms, *config.preprocessing, *config.helpers]
        _require(variant, known, file, f"roles.{role}", "paradigm, preprocessing or helper network")
    for name, ensemble in protocol.ensembles.items():
        _check_ensemble(config, protocol, name, ensemble, file)
    for attack in protocol.attack.images:
        _require(attack, config.attacks, file, "attack.images", "attack")
    for kind in type(protocol.overrides).model_fields:
        for variant in getattr(protocol.overrides, kind):
            _require(variant, getattr(config, kind), file, f"overrides.{kind}", kind.removesuffix("s"))


def _check_seeds(seeds: schema.Seeds, file: Path) -> None:
    """Victims of a seed are attacked by undefended networks of that seed."""
    surrogates = len(seeds.of(schema.STANDARD))
    for name, count in {"default": seeds.default, **seeds.paradigms}.items():
        if count > surrogates:
            raise UserError(
                f"{file}: seeds: {name} is {count}, but {schema.STANDARD} networks, which attack victims of their "
                f"seed, have {surrogates}: give them as many"
            )


def _check_informed(config: Config, protocol: schema.Protocol, informed: schema.InformedSettings, file: Path) -> None:
    for attack in informed.fewer_images:
        _require(attack, config.attacks, file, "informed.fewer_images", "attack")
    for name in informed.bpda:
        known = protocol.roles.get(name, name)
        _require(known, config.preprocessing, file, "informed.bpda", "preprocessing")


def _check_ensemble(
    config: Config, protocol: schema.Protocol, name: str, ensemble: schema.EnsembleSettings, file: Path
) -> None:
    if name in {*config.paradigms, *config.victims, *protocol.roles, *RESERVED["paradigms"], "standard", "same"}:
        raise UserError(f"{file}: ensembles.{name} has the name of something else in the paths of cells: rename it")
    for paradigm in ensemble.paradigms:
        trained = protocol.roles.get(paradigm, paradigm)
        _require(trained, config.paradigms, file, f"ensembles.{name}.paradigms", "paradigm")
        if ensemble.seeds > (count := len(protocol.seeds.of(trained))):
            raise UserError(
                f"{file}: ensembles.{name} takes {ensemble.seeds} seeds of {paradigm}, of which this protocol trains "
                f"{count}: ask for fewer, or raise seeds.paradigms.{trained}"
            )


def _check_table(config: Config, table: schema.Table, file: Path) -> None:
    if isinstance(table, schema.AccuracyTable | schema.CharacteristicsTable):
        for row in table.rows:
            _require(row, config.attacks, file, "rows", "attack")
    if isinstance(table, schema.SupplementaryTable):
        for attack in (row.attack for row in table.rows if row.attack is not None):
            _require(attack, [schema.CLEAN, *config.attacks], file, "rows.attack", "attack")
    _check_columns(config, table, table.columns, file)


def _check_columns(config: Config, table: schema.Table, columns: Iterable[schema.Column], file: Path) -> None:
    victims = {*_with_roles(config, config.paradigms), *config.victims}
    white_box = isinstance(table, schema.SupplementaryTable) and any(row.white_box for row in table.rows)
    for column in columns:
        if white_box and column.preprocessing:
            raise UserError(
                f"{file}: columns.preprocessing: white-box rows attack networks without preprocessing: remove the "
                f"column {column.preprocessing}, or let rows with `knows: victim` attack it"
            )
        if not isinstance(table, schema.AccuracyTable) or table.surrogates != "standard":
            _refuse_imported(config, column.victim, file, "columns.victim")
        _require(column.victim, victims, file, "columns.victim", "paradigm, role or victim")
        if column.preprocessing is not None:
            known = _with_roles(config, config.preprocessing)
            _require(column.preprocessing, known, file, "columns.preprocessing", "preprocessing or role")


def _check_figure(config: Config, figure: schema.Figure, file: Path) -> None:
    known = _with_roles(config, config.paradigms)
    if isinstance(figure, schema.ParadigmFigure):
        for paradigm in figure.paradigms:
            _refuse_imported(config, paradigm, file, "paradigms")
            _require(paradigm, known, file, "paradigms", "paradigm or role")
    if isinstance(figure, schema.ConceptFigure):
        _refuse_imported(config, figure.paradigm, file, "paradigm")
        _require(figure.paradigm, known, file, "paradigm", "paradigm or role")
    if isinstance(figure, schema.ConceptFigure | schema.TheoryFigure):
        _require(figure.attack, config.attacks, file, "attack", "attack")
    if isinstance(figure, schema.TheoryFigure | schema.TableFigure):
        tables = [name for name, table in config.tables.items() if isinstance(table, schema.AccuracyTable)]
        _require(figure.table, tables, file, "table", "accuracy table")


def _with_roles(config: Config, variants: Mapping[str, schema.Variant]) -> set[str]:
    """Variants of one kind, and the roles that stand for one of them in some protocol."""
    roles = {
        role
        for protocol in config.protocols.values()
        for role, variant in protocol.roles.items()
        if variant in variants
    }
    return {*variants, *roles}


def _check_experiment(config: Config, experiment: schema.Experiment, file: Path) -> None:
    for slot, protocol in experiment.slots.items():
        _require(protocol, config.protocols, file, f"slots.{slot}", "protocol")
    for name in experiment.figures:
        _require(name, config.figures, file, "figures", "figure")
        figure = config.figures[name]
        if isinstance(figure, schema.TheoryFigure | schema.TableFigure) and figure.table not in experiment.tables:
            raise UserError(
                f"{file}: figures: {name} shows {figure.table}, which the experiment leaves out: add it under tables, "
                "or leave the figure out"
            )
    for name, selection in experiment.tables.items():
        _require(name, config.tables, file, "tables", "table")
        table = config.tables[name]
        if isinstance(table, schema.OneSlotTable) and len(selection.slots or "A") != 1:
            raise UserError(f"{file}: tables.{name}.slots: this table shows one data set: give one entry")
        for row in selection.rows or []:
            _require(row, config.attacks, file, f"tables.{name}.rows", "attack")
        _check_columns(config, table, selection.columns or [], file)
