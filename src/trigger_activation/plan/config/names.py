"""Checks every name that one config file uses of another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from trigger_activation.errors import UserError, suggest
from trigger_activation.plan.config import schema
from trigger_activation.plan.config.schema import ENTRY_FOLDERS, Config
from trigger_activation.plan.config.tables import (
    AccuracyTable,
    AttackedTable,
    CharacteristicsTable,
    Column,
    ConceptFigure,
    DifferenceTable,
    Figure,
    OneSlotTable,
    ParadigmFigure,
    SupplementaryTable,
    Table,
    TableFigure,
    TheoryFigure,
)
from trigger_activation.plan.config.values import CLEAN, STANDARD, WHITE_BOX


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
        _require(WHITE_BOX, config.attacks, file, "white_box", "attack")
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
    surrogates = len(seeds.of(STANDARD))
    for name, count in {"default": seeds.default, **seeds.paradigms}.items():
        if count > surrogates:
            raise UserError(
                f"{file}: seeds: {name} is {count}, but {STANDARD} networks, which attack victims of their "
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


def _check_table(config: Config, table: Table, file: Path) -> None:
    if isinstance(table, AttackedTable | CharacteristicsTable):
        for row in table.rows:
            _require(row, config.attacks, file, "rows", "attack")
    if isinstance(table, SupplementaryTable):
        for attack in (row.attack for row in table.rows if row.attack is not None):
            _require(attack, [CLEAN, *config.attacks], file, "rows.attack", "attack")
    _check_columns(config, table, table.columns, file)


def _check_columns(config: Config, table: Table, columns: Sequence[Column], file: Path) -> None:
    victims = {*_with_roles(config, config.paradigms), *config.victims}
    white_box = isinstance(table, SupplementaryTable) and any(row.white_box for row in table.rows)
    if isinstance(table, DifferenceTable) and len(columns) < 2:
        raise UserError(f"{file}: columns: a difference takes two defenses: list at least two")
    for column in columns:
        if white_box and column.preprocessing:
            raise UserError(
                f"{file}: columns.preprocessing: white-box rows attack networks without preprocessing: remove the "
                f"column {column.preprocessing}, or let rows with `knows: victim` attack it"
            )
        if not isinstance(table, AttackedTable) or table.surrogates != "standard":
            _refuse_imported(config, column.victim, file, "columns.victim")
        _require(column.victim, victims, file, "columns.victim", "paradigm, role or victim")
        if column.preprocessing is not None:
            known = _with_roles(config, config.preprocessing)
            _require(column.preprocessing, known, file, "columns.preprocessing", "preprocessing or role")


def _check_figure(config: Config, figure: Figure, file: Path) -> None:
    known = _with_roles(config, config.paradigms)
    if isinstance(figure, ParadigmFigure):
        for paradigm in figure.paradigms:
            _refuse_imported(config, paradigm, file, "paradigms")
            _require(paradigm, known, file, "paradigms", "paradigm or role")
    if isinstance(figure, ConceptFigure):
        _refuse_imported(config, figure.paradigm, file, "paradigm")
        _require(figure.paradigm, known, file, "paradigm", "paradigm or role")
    if isinstance(figure, ConceptFigure | TheoryFigure):
        _require(figure.attack, config.attacks, file, "attack", "attack")
    if isinstance(figure, TheoryFigure | TableFigure):
        tables = [name for name, table in config.tables.items() if isinstance(table, AccuracyTable)]
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
    if experiment.replicates is not None:
        _require(experiment.replicates, config.experiments, file, "replicates", "experiment")
    for slot, protocol in experiment.slots.items():
        _require(protocol, config.protocols, file, f"slots.{slot}", "protocol")
    for name in experiment.figures:
        _require(name, config.figures, file, "figures", "figure")
        figure = config.figures[name]
        if isinstance(figure, TheoryFigure | TableFigure) and figure.table not in experiment.tables:
            raise UserError(
                f"{file}: figures: {name} shows {figure.table}, which the experiment leaves out: add it under tables, "
                "or leave the figure out"
            )
    for name, selection in experiment.tables.items():
        _require(name, config.tables, file, "tables", "table")
        table = config.tables[name]
        if isinstance(table, OneSlotTable) and len(selection.slots or "A") != 1:
            raise UserError(f"{file}: tables.{name}.slots: this table shows one data set: give one entry")
        for row in selection.rows or []:
            _require(row, config.attacks, file, f"tables.{name}.rows", "attack")
        _check_columns(config, table, selection.columns or table.columns, file)
