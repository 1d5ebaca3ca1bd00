"""The page of an experiment, and the record of the run that it cites."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trigger_activation.plan import paths
from trigger_activation.plan.artifacts import STAGE_VERSIONS, ProtocolArtifacts
from trigger_activation.plan.config.schema import Column, Config, Selection, Slot, Table
from trigger_activation.plan.graph import Artifact, Plan, digest
from trigger_activation.plan.order import in_print

Parameters = Mapping[str, Any]
Titled = tuple[str, Parameters]
ORDER = {"tae": 0, "purified": 1, "helper": 2, "checkpoint": 3, "dataset": 5}
"""Kinds by what a reader asks for first; others come before the data."""


class PagePlanner:
    """Adds the page of one experiment to a plan, and what it needs beside tables and figures."""

    def __init__(self, config: Config, name: str, plan: Plan, protocols: Mapping[Slot, ProtocolArtifacts]) -> None:
        self.config = config
        self.name = name
        self.experiment = config.experiments[name]
        self.plan = plan
        self.protocols = protocols

    def add(self, targets: Mapping[str, str], compared: Mapping[str, Any]) -> str:
        """The page.

        Args:
            targets: name -> path of the experiment's tables and figures.
            compared: what it is compared with (see :meth:`ReportPlanner.compared`).
        """
        ordered = {name: targets[name] for name in sorted(targets, key=in_print)}
        tables, figures = ({n: p for n, p in ordered.items() if self.plan[p].kind == k} for k in ("table", "figure"))
        shown = [*tables.values(), *figures.values()]
        cells = tuple(dict.fromkeys(cell for path in shown for cell in self.plan[path].input_paths))
        behind, settings = self._settings(cells)
        parameters = {
            "experiment": self.name,
            "title": self.experiment.title,
            **compared,
            "tables": [self._shown(name, path) for name, path in tables.items()],
            "figures": [self._shown(name, path) for name, path in figures.items()],
            "behind": behind,
            "settings": settings,
            "left_out": self._left_out(),
        }
        return self.plan.add(
            Artifact(
                path=paths.rendered(self.name, "index", "html"),
                kind="page",
                parameters=parameters,
                versions={"stage": STAGE_VERSIONS["page"]},
                inputs={"tables": tuple(tables.values()), "figures": tuple(figures.values()), "cells": cells},
                optional={"run": (self._run(ordered.values()),)},
            )
        )

    def _shown(self, name: str, path: str) -> dict[str, Any]:
        artifact = self.plan[path]
        return {"name": name, "layout": artifact.parameters, "cells": list(artifact.input_paths)}

    def _run(self, targets: Iterable[str]) -> str:
        """The record of what was made: its inputs are all artifacts that have one of their own."""
        made = [a for a in self.plan.upstream(targets) if not a.path.startswith("paper_tables/")]
        return self.plan.add(
            Artifact(
                path=paths.rendered(self.name, "run", "json"),
                kind="run",
                parameters={"by_products": [path for artifact in made for path in artifact.by_products]},
                versions={"stage": STAGE_VERSIONS["run"]},
                inputs={"artifacts": tuple(artifact.path for artifact in made)},
            )
        )

    def _settings(self, cells: Sequence[str]) -> tuple[dict[str, list[int]], list[list[Any]]]:
        """The positions of what stands behind each cell in one list of all settings."""
        positions: dict[str, int] = {}
        behind: dict[str, list[int]] = {}
        settings: list[list[Any]] = []
        for cell in cells:
            behind[cell] = []
            for titled in settings_behind(list(self.plan.upstream([cell]))[:-1]):
                position = positions.setdefault(digest(titled), len(settings))
                settings += [list(titled)] if position == len(settings) else []
                behind[cell].append(position)
        return behind, settings

    def _left_out(self) -> dict[str, Any]:
        """Tables, figures, columns, rows and data sets that config declares and the experiment does not show."""
        shown = self.experiment.tables
        tables = {name: self.config.tables[name] for name in sorted(self.config.tables, key=in_print)}
        rest = [table for name, table in tables.items() if name not in shown]
        parts = [self._missing_parts(table, shown[name]) for name, table in tables.items() if name in shown]
        figures = [figure for name, figure in self.config.figures.items() if name not in self.experiment.figures]
        return {
            "tables": [{"number": table.number, "title": table.title} for table in rest],
            "figures": [{"number": figure.number, "title": figure.title} for figure in figures],
            "parts": [part for part in parts if part["columns"] or part["rows"] or part["slots"]],
        }

    def _missing_parts(self, table: Table, selection: Selection) -> dict[str, Any]:
        slots = selection.slots or table.slots
        protocol = self.protocols[slots[0]]
        kept = {_variants(column, protocol) for column in selection.columns or table.columns}
        columns = [column for column in table.columns if _variants(column, protocol) not in kept]
        rows: list[str] = getattr(table, "rows", [])
        return {
            "number": table.number,
            "columns": [self._label(column, protocol) for column in columns],
            "rows": [self.config.attacks[row].label for row in rows if row not in (selection.rows or rows)],
            "slots": [slot for slot in table.slots if slot not in slots],
        }

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
    for artifact in sorted(upstream, key=lambda artifact: ORDER.get(artifact.kind, 4)):
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
    parts = Path(artifact.path).parts
    network, _, paradigm = parts[3].partition("__")
    parameters = {**artifact.parameters, "versions": artifact.versions}
    match artifact.kind:
        case "checkpoint":
            shared = {name: value for name, value in parameters.items() if name not in ("network", "seed")}
            yield f"Training of {paradigm}", network, shared
            yield f"Network {network}", network, parameters["network"]
        case "dataset":
            yield f"Data set {parts[2]}", Path(parts[3]).stem, parameters
        case "helper":
            yield f"Helper network {network}", network, parameters
        case "tae":
            yield "Attack", network, parameters
        case "purified":
            yield "Purifier", network, parameters
        case _:
            yield artifact.kind.capitalize(), network, parameters
