"""Experiments planned: tables and figures expanded to the cells they show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trigger_activation.config.schema import (
    STANDARD,
    AccuracyTable,
    CharacteristicsTable,
    Column,
    Config,
    CostTable,
    Experiment,
    Figure,
    Selection,
    Table,
    TriggerTable,
)
from trigger_activation.errors import UserError
from trigger_activation.plan import paths
from trigger_activation.plan.artifact import Artifact, Inputs, Plan
from trigger_activation.plan.artifacts import CLEAN, STAGE_VERSIONS, ProtocolArtifacts
from trigger_activation.plan.pages import PagePlanner
from trigger_activation.plan.variants import Variants


def build_plan(config: Config) -> Plan:
    """Plan all experiments in one graph; what they share is there once.

    Raises:
        UserError: config asks for something impossible, or declares something that nothing uses.
    """
    plan, variants = Plan(), Variants(config)
    for name, experiment in config.experiments.items():
        ExperimentPlanner(config, name, experiment, plan, variants).run()
    variants.check_all_used()
    return plan


class ExperimentPlanner:
    """Adds the tables and figures of one experiment to a plan."""

    def __init__(self, config: Config, name: str, experiment: Experiment, plan: Plan, variants: Variants) -> None:
        self.config = config
        self.name = name
        self.experiment = experiment
        self.plan = plan
        self.protocols = {
            slot: ProtocolArtifacts(config, protocol, plan, variants) for slot, protocol in experiment.slots.items()
        }

    def run(self) -> None:
        """Plan everything that the experiment names."""
        targets = {name: self._table(name, selection) for name, selection in self.experiment.tables.items()}
        targets |= {name: self._figure(name, self.config.figures[name]) for name in self.experiment.figures}
        if "page" in self.experiment.reports:
            targets["page"] = PagePlanner(self.config, self.name, self.plan, self.protocols).add(targets)
        self.plan.targets[self.name] = targets

    def _slot(self, slot: str, asker: str) -> ProtocolArtifacts:
        if slot not in self.protocols:
            raise UserError(
                f"config/experiments/{self.name}.yaml: {asker} shows slot {slot}, which the experiment leaves empty: "
                f"add `{slot}: <protocol>` under slots"
            )
        return self.protocols[slot]

    def _table(self, name: str, selection: Selection) -> str:
        table: Table = self.config.tables[name]
        if selection.slots:
            table = table.model_copy(update={"slots": selection.slots})
        columns = selection.columns or table.columns
        if isinstance(table, AccuracyTable):
            return self._accuracy_table(name, table, selection.rows or table.rows, columns)
        if selection.rows and not isinstance(table, CharacteristicsTable):
            raise UserError(
                f"config/experiments/{self.name}.yaml: tables.{name}.rows selects rows of a table that has no attack "
                "rows: remove it"
            )
        if isinstance(table, TriggerTable):
            return self._trigger_table(name, table, columns)
        if isinstance(table, CostTable):
            return self._cost_table(name, table, columns)
        if selection.columns:
            raise UserError(
                f"config/experiments/{self.name}.yaml: tables.{name}.columns selects columns, but the published "
                "verdicts belong to all of them: remove it"
            )
        return self._characteristics_table(name, table, selection.rows or table.rows)

    def _accuracy_table(self, name: str, table: AccuracyTable, rows: Sequence[str], columns: Sequence[Column]) -> str:
        slot = self._slot(table.slots[0], name)
        resolved = [self._column(slot, column) for column in columns]
        attacks = [*([CLEAN] if table.clean_row else []), *rows]
        cells = [self._accuracy_cell(slot, table, attack, column) for attack in attacks for column in resolved]
        layout = {
            "kind": table.kind,
            "number": table.number,
            "title": table.title,
            "decimals": self._decimals(table),
            "pairs": table.pairs,
            "surrogates": table.surrogates,
            "mean_row": table.mean_row,
            "rows": [{"attack": attack, "label": self._attack_label(slot, attack)} for attack in attacks],
            "columns": resolved,
            "protocol": self._protocol_facts(slot),
            "changes": [
                *slot.changes("attacks", [row for row in attacks if row != CLEAN]),
                *slot.changes("preprocessing", [c["preprocessing"] for c in resolved if c["preprocessing"]]),
                *slot.changes("paradigms", [column["victim"] for column in resolved]),
            ],
            "substitutes": slot.substitutes(
                [("attacks", row) for row in attacks if row != CLEAN]
                + [("preprocessing", c["preprocessing"]) for c in resolved if c["preprocessing"]]
            ),
        }
        return self._rendered(name, "table", layout, {"cells": tuple(cells)}, ("csv", "md"))

    def _accuracy_cell(self, slot: ProtocolArtifacts, table: AccuracyTable, attack: str, column: dict[str, Any]) -> str:
        surrogates = STANDARD if table.surrogates == "standard" else column["victim"]
        return self._cell(slot, CLEAN if attack == CLEAN else surrogates, attack, column)

    @staticmethod
    def _cell(slot: ProtocolArtifacts, surrogates: str, attack: str, column: dict[str, Any]) -> str:
        return slot.cell(surrogates, attack, column["name"], column["victim"], column["preprocessing"])

    def _trigger_table(self, name: str, table: TriggerTable, columns: Sequence[Column]) -> str:
        measured: list[str] = []
        shown = []
        for letter in table.slots:
            slot = self._slot(letter, name)
            resolved = [self._column(slot, column) for column in columns]
            measured += [slot.trigger(column["victim"]) for column in resolved]
            shown.append({"protocol": self._protocol_facts(slot), "columns": resolved})
        layout = {
            "kind": table.kind,
            "number": table.number,
            "title": table.title,
            "decimals": table.decimals,
            "slots": shown,
        }
        return self._rendered(name, "table", layout, {"cells": tuple(measured)}, ("csv", "md"))

    def _cost_table(self, name: str, table: CostTable, columns: Sequence[Column]) -> str:
        costs: list[str] = []
        shown = []
        for letter in table.slots:
            slot = self._slot(letter, name)
            resolved = [self._column(slot, column) for column in columns]
            costs += [self._cost(slot, column) for column in resolved]
            shown.append({"protocol": self._protocol_facts(slot), "columns": resolved})
        layout = {"kind": table.kind, "number": table.number, "title": table.title, "slots": shown}
        return self._rendered(name, "table", layout, {"cells": tuple(costs)}, ("csv", "md"))

    def _characteristics_table(self, name: str, table: CharacteristicsTable, rows: Sequence[str]) -> str:
        """Its cells: costs and clean accuracies, the undefended ones first, then accuracies attack by attack."""
        slot = self._slot(table.slots[0], name)
        undefended, *resolved = [self._column(slot, column) for column in [Column(), *table.columns]]
        costs = [self._cost(slot, column) for column in (undefended, *resolved)]
        clean = [self._cell(slot, CLEAN, CLEAN, column) for column in (undefended, *resolved)]
        attacked = [self._cell(slot, STANDARD, attack, column) for attack in rows for column in resolved]
        layout = {
            "kind": table.kind,
            "number": table.number,
            "title": table.title,
            "columns": resolved,
            "characteristics": [c.model_dump(mode="json") for c in table.characteristics],
            "attacks": [self._attack_label(slot, attack) for attack in rows],
            "protocol": self._protocol_facts(slot),
        }
        return self._rendered(name, "table", layout, {"cells": (*costs, *clean, *attacked)}, ("csv", "md"))

    @staticmethod
    def _cost(slot: ProtocolArtifacts, column: dict[str, Any]) -> str:
        return slot.cost(column["name"], column["victim"], column["preprocessing"])

    def _figure(self, name: str, figure: Figure) -> str:
        measured: list[str] = []
        shown = []
        for letter in figure.slots:
            slot = self._slot(letter, name)
            paradigms = [slot.variant_of_role("paradigms", paradigm) for paradigm in figure.paradigms]
            measure = slot.flip if figure.kind == "flip" else slot.trigger
            measured += [measure(paradigm) for paradigm in paradigms]
            labels = {paradigm: self.config.paradigms[paradigm].label for paradigm in paradigms}
            shown.append({"protocol": self._protocol_facts(slot), "paradigms": labels})
        layout = {"kind": figure.kind, "number": figure.number, "title": figure.title, "slots": shown}
        return self._rendered(name, "figure", layout, {"cells": tuple(measured)}, ("png", "md"))

    def _column(self, slot: ProtocolArtifacts, column: Column) -> dict[str, Any]:
        victim = slot.variant_of_role("paradigms", column.victim)
        preprocessing = column.preprocessing and slot.variant_of_role("preprocessing", column.preprocessing)
        name = preprocessing or (victim if victim != STANDARD else "none")
        return {
            "name": name,
            "victim": victim,
            "preprocessing": preprocessing,
            "label": column.label or self._column_label(slot, victim, preprocessing),
            "group": column.group,
            "seeds": len(slot.protocol.seeds.of(victim)),
        }

    def _decimals(self, table: Table) -> int:
        chosen = self.experiment.decimals
        return table.decimals if chosen is None else chosen

    def _column_label(self, slot: ProtocolArtifacts, victim: str, preprocessing: str | None) -> str:
        if preprocessing:
            return self._marked_label(slot, "preprocessing", preprocessing)
        return self.config.paradigms[victim].label

    def _attack_label(self, slot: ProtocolArtifacts, attack: str) -> str:
        if attack == CLEAN:
            return "Clean"
        return self._marked_label(slot, "attacks", attack)

    def _marked_label(self, slot: ProtocolArtifacts, kind: str, name: str) -> str:
        """The label of an attack or a preprocessing, and whether it rests on a substitute."""
        helper = slot.helper_of(kind, name)
        label: str = getattr(self.config, kind)[name].label
        return f"{label} (substitute)" if helper and self.config.helpers[helper].substitute else label

    def _protocol_facts(self, slot: ProtocolArtifacts) -> dict[str, Any]:
        protocol = slot.protocol
        dataset = self.config.datasets[protocol.dataset]
        return {
            "name": slot.name,
            "dataset": dataset.label,
            "classes": dataset.classes,
            "networks": {name: self.config.networks[name].label for name in protocol.networks},
            "eps": str(protocol.attack.eps),
            "steps": protocol.attack.steps,
            "images": protocol.evaluation.images,
            "epochs": protocol.training.epochs,
        }

    def _rendered(
        self,
        name: str,
        kind: str,
        layout: dict[str, Any],
        inputs: Inputs,
        companions: tuple[str, ...],
        obstacle: str | None = None,
    ) -> str:
        main = "tex" if kind == "table" else "pdf"
        return self.plan.add(
            Artifact(
                path=paths.rendered(self.name, name, main),
                kind=kind,
                parameters=layout,
                versions={"stage": STAGE_VERSIONS[kind]},
                inputs=inputs,
                companions=tuple(paths.rendered(self.name, name, suffix) for suffix in companions),
                obstacle=obstacle,
            )
        )
