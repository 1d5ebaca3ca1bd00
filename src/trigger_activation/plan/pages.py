"""The page of an experiment, and the record of the run that it cites."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from trigger_activation.plan import kinds, recipes
from trigger_activation.plan.artifacts import ProtocolArtifacts
from trigger_activation.plan.config.schema import Config, Selection
from trigger_activation.plan.config.tables import Column, Table
from trigger_activation.plan.config.values import Slot
from trigger_activation.plan.graph import Artifact, Plan, digest
from trigger_activation.plan.layouts import InPrint, LeftOut, Omission, PageFigure, PageTable, PartialTable
from trigger_activation.plan.order import in_print
from trigger_activation.plan.reports import PAPER

Parameters = dict[str, Any]
Titled = tuple[str, Parameters]
Compared = tuple[dict[str, list[InPrint]], dict[str, str]]
"""What is in print for each table, and the published files."""


class Setting(NamedTuple):
    """What an artifact says about how it was made."""

    title: str
    instance: str
    """A name for the case that artifacts of one title differ."""
    parameters: Parameters
    identity: str
    """Of the parameters."""


class PagePlanner:
    """Adds the page of one experiment to a plan, and what it needs beside tables and figures."""

    def __init__(self, config: Config, name: str, plan: Plan, protocols: Mapping[Slot, ProtocolArtifacts]) -> None:
        self.config = config
        self.name = name
        self.experiment = config.experiments[name]
        self.plan = plan
        self.protocols = protocols

    def add(self, targets: Mapping[str, str], compared: Compared, findings: str | None) -> str:
        """The page.

        Args:
            targets: name -> path of the experiment's tables and figures.
            compared: what it is compared with (see :meth:`ReportPlanner.compared`).
            findings: path of what the experiment found, if it says so.
        """
        ordered = {name: self.plan[targets[name]] for name in sorted(targets, key=in_print)}
        tables = {name: artifact for name, artifact in ordered.items() if artifact.kind is kinds.TABLE}
        figures = {name: artifact for name, artifact in ordered.items() if artifact.kind is kinds.FIGURE}
        shown = [*tables.values(), *figures.values()]
        cells = tuple(dict.fromkeys(cell for artifact in shown for cell in artifact.input_paths))
        papers, published = compared
        behind, settings = self._settings(cells)
        parameters = recipes.PageParameters(
            experiment=self.name,
            title=self.experiment.title,
            paper=self.config.paper,
            papers=papers,
            published=published,
            tables=[
                PageTable(name=name, layout=table.parameters, cells=list(table.input_paths))
                for name, table in tables.items()
            ],
            figures=[
                PageFigure(name=name, layout=figure.parameters, cells=list(figure.input_paths))
                for name, figure in figures.items()
            ],
            behind=behind,
            settings=settings,
            left_out=self._left_out(),
        )
        inputs = {
            "findings": (findings,) if findings else (),
            "tables": tuple(table.path for table in tables.values()),
            "figures": tuple(figure.path for figure in figures.values()),
            "cells": cells,
        }
        optional = {"run": (self._run(ordered.values()),)}
        names = {"experiment": self.name}
        return self.plan.add(Artifact(kinds.PAGE, names, parameters, {"stage": kinds.PAGE.version}, inputs, optional))

    def _run(self, targets: Iterable[Artifact]) -> str:
        """The record of what was made: its inputs are all artifacts that have one of their own."""
        upstream = self.plan.upstream(artifact.path for artifact in targets)
        made = [artifact for artifact in upstream if not artifact.kind.is_rendered]
        parameters = recipes.RunParameters(by_products=[path for artifact in made for path in artifact.by_products])
        inputs = {"artifacts": tuple(artifact.path for artifact in made)}
        names = {"experiment": self.name}
        return self.plan.add(Artifact(kinds.RUN, names, parameters, {"stage": kinds.RUN.version}, inputs))

    def _settings(self, cells: Sequence[str]) -> tuple[dict[str, list[int]], list[Titled]]:
        """The positions of what stands behind each cell in one list of all settings."""
        said: dict[str, list[Setting]] = {}
        positions: dict[tuple[str, str], int] = {}
        behind: dict[str, list[int]] = {}
        settings: list[Titled] = []
        for cell in cells:
            behind[cell] = []
            *upstream, _ = self.plan.upstream([cell])
            said |= {each.path: list(settings_of(each)) for each in upstream if each.path not in said}
            upstream.sort(key=lambda artifact: artifact.kind.place)
            for title, parameters, identity in distinct(said[artifact.path] for artifact in upstream):
                position = positions.setdefault((title, identity), len(settings))
                settings += [(title, parameters)] if position == len(settings) else []
                behind[cell].append(position)
        return behind, settings

    def _left_out(self) -> LeftOut:
        """Tables of the experiment `paper`, figures, columns, rows and data sets that the experiment does not show."""
        shown = self.experiment.tables
        paper = self.config.experiments.get(PAPER)
        declared = {**shown, **(paper.tables if paper else self.config.tables)}
        tables = {name: self.config.tables[name] for name in sorted(declared, key=in_print)}
        rest = [table for name, table in tables.items() if name not in shown]
        parts = [self._missing_parts(table, shown[name]) for name, table in tables.items() if name in shown]
        figures = [figure for name, figure in self.config.figures.items() if name not in self.experiment.figures]
        return LeftOut(
            tables=[Omission(number=table.number, title=table.title) for table in rest],
            figures=[Omission(number=figure.number, title=figure.title) for figure in figures],
            parts=[part for part in parts if part.columns or part.rows or part.slots],
        )

    def _missing_parts(self, table: Table, selection: Selection) -> PartialTable:
        slots = selection.slots or table.slots
        protocol = self.protocols[slots[0]]
        kept = {_variants(column, protocol) for column in selection.columns or table.columns}
        columns = [column for column in table.columns if _variants(column, protocol) not in kept]
        rows: list[str] = getattr(table, "rows", [])
        return PartialTable(
            number=table.number,
            columns=[self._label(column, protocol) for column in columns],
            rows=[self.config.attacks[row].label for row in rows if row not in (selection.rows or rows)],
            slots=[slot for slot in table.slots if slot not in slots],
        )

    def _label(self, column: Column, protocol: ProtocolArtifacts) -> str:
        if column.label:
            return f"{column.group} {column.label}".strip()
        victim, preprocessing = _variants(column, protocol)
        declared = self.config.preprocessing if preprocessing else self.config.paradigms
        name = preprocessing or victim
        # A role that this protocol does not fill stands for nothing that has a label.
        return declared[name].label if name in declared else name.replace("_", " ")


def _variants(column: Column, protocol: ProtocolArtifacts) -> tuple[str, str | None]:
    """Victim and preprocessing of a column, roles replaced where the protocol fills them."""
    roles = protocol.protocol.roles
    preprocessing = column.preprocessing
    return roles.get(column.victim, column.victim), preprocessing and roles.get(preprocessing, preprocessing)


def distinct(settings: Iterable[Iterable[Setting]]) -> list[tuple[str, Parameters, str]]:
    """Titles and parameters, each distinct set once, with its identity.

    Args:
        settings: those of each artifact.
    """
    found: dict[str, dict[str, tuple[Parameters, list[str]]]] = {}
    for title, instance, parameters, identity in chain.from_iterable(settings):
        _, instances = found.setdefault(title, {}).setdefault(identity, (parameters, []))
        instances.append(instance)
    return [
        (title if len(sets) == 1 else f"{title}: {', '.join(dict.fromkeys(instances))}", parameters, identity)
        for title, sets in found.items()
        for identity, (parameters, instances) in sets.items()
    ]


def settings_of(artifact: Artifact) -> Iterator[Setting]:
    """What an artifact says; a network says what it is, and apart from that how it was trained."""
    kind, names = artifact.kind, artifact.names
    title, instance = kind.setting.format_map(names), kind.instance.format_map(names)
    parameters = {**artifact.settings, "versions": artifact.versions}
    if isinstance(artifact.parameters, recipes.CheckpointParameters):
        # Networks and seeds of one protocol are trained alike.
        parameters = {name: value for name, value in parameters.items() if name not in ("network", "seed")}
        network = artifact.parameters.network
        yield Setting(title, instance, parameters, digest(parameters))
        yield Setting(f"Network {instance}", instance, network, digest(network))
    else:
        yield Setting(title or kind.name.capitalize(), instance, parameters, digest(parameters))
