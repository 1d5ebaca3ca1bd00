"""The page of an experiment, and the record of the run that it cites."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from trigger_activation.plan import kinds, recipes
from trigger_activation.plan.artifacts import ProtocolArtifacts
from trigger_activation.plan.config.schema import Column, Config, Selection, Slot, Table
from trigger_activation.plan.graph import Artifact, Plan, digest
from trigger_activation.plan.layouts import InPrint, LeftOut, Omission, PageFigure, PageTable, PartialTable
from trigger_activation.plan.order import in_print

Parameters = dict[str, Any]
Titled = tuple[str, Parameters]
Compared = tuple[dict[str, list[InPrint]], dict[str, str]]
"""What is in print for each table, and the published files."""


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
            paper=self.config.paper if papers else None,
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
        positions: dict[str, int] = {}
        behind: dict[str, list[int]] = {}
        settings: list[Titled] = []
        for cell in cells:
            behind[cell] = []
            for titled in settings_behind(list(self.plan.upstream([cell]))[:-1]):
                position = positions.setdefault(digest(titled), len(settings))
                settings += [titled] if position == len(settings) else []
                behind[cell].append(position)
        return behind, settings

    def _left_out(self) -> LeftOut:
        """Tables, figures, columns, rows and data sets that config declares and the experiment does not show."""
        shown = self.experiment.tables
        tables = {name: self.config.tables[name] for name in sorted(self.config.tables, key=in_print)}
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


def settings_behind(upstream: Sequence[Artifact]) -> list[Titled]:
    """The parameters behind a cell, each distinct set once.

    Args:
        upstream: what the cell is made of.
    """
    found: dict[str, dict[str, tuple[Parameters, list[str]]]] = {}
    for artifact in sorted(upstream, key=lambda artifact: artifact.kind.place):
        for title, instance, parameters in _settings_of(artifact):
            _, instances = found.setdefault(title, {}).setdefault(digest(parameters), (parameters, []))
            instances.append(instance)
    return [
        (title if len(sets) == 1 else f"{title}: {', '.join(dict.fromkeys(instances))}", parameters)
        for title, sets in found.items()
        for parameters, instances in sets.values()
    ]


def _settings_of(artifact: Artifact) -> Iterator[tuple[str, str, Parameters]]:
    """Title, parameters, and between them a name for the case that artifacts of one title differ."""
    kind, names = artifact.kind, artifact.names
    title, instance = kind.setting.format_map(names), kind.instance.format_map(names)
    parameters = {**artifact.settings, "versions": artifact.versions}
    if isinstance(artifact.parameters, recipes.CheckpointParameters):
        # Networks and seeds of one protocol are trained alike.
        yield title, instance, {name: value for name, value in parameters.items() if name not in ("network", "seed")}
        yield f"Network {instance}", instance, artifact.parameters.network
    else:
        yield title or kind.name.capitalize(), instance, parameters
