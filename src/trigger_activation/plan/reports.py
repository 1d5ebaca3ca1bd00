"""Reports planned: a run beside the published numbers, and these numbers audited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trigger_activation.errors import UserError
from trigger_activation.plan import paths
from trigger_activation.plan.artifacts import STAGE_VERSIONS, ProtocolArtifacts
from trigger_activation.plan.config.schema import (
    AccuracyTable,
    Column,
    Config,
    Selection,
    Slot,
    TableBase,
    TriggerTable,
)
from trigger_activation.plan.counterparts import counterpart
from trigger_activation.plan.graph import Artifact, Plan
from trigger_activation.plan.order import in_print
from trigger_activation.plan.settings import all_settings
from trigger_activation.plan.variants import Variants

PAPER = "paper"
"""The experiment that is the published one: its protocols say which variant a role stands for in print."""

COMPANIONS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "comparison": (("comparison", "csv"), ("claims", "csv")),
    "audit": (("audit", "csv"),),
    "metrics": (("parameters", "yaml"),),
}
"""Report -> names and suffixes of the files beside its first."""

RENDERED = ("table", "figure")


class ReportPlanner:
    """Adds the reports of one experiment to a plan that has its tables already."""

    def __init__(self, config: Config, experiment: str, plan: Plan, variants: Variants) -> None:
        self.config = config
        self.name = experiment
        self.experiment = config.experiments[experiment]
        self.plan = plan
        self.variants = variants

    def report(self, kind: str, tables: Mapping[str, str]) -> str:
        """Plan one report.

        Args:
            kind: ``comparison``, ``audit`` or ``metrics``.
            tables: name -> path of the experiment's tables.
        """
        if kind == "audit":
            return self._add(kind, ("published.csv", "table6.csv"), {}, {})
        if kind == "metrics":
            return self._metrics(tables)
        parameters = {
            "tables": [
                {"name": name, "layout": self.plan[tables[name]].parameters, "paper": paper}
                for name, paper in self._papers(tables).items()
            ],
        }
        inputs = {name: self.plan[tables[name]].inputs["cells"] for name in self._papers(tables)}
        return self._add(kind, ("published.csv",), parameters, inputs)

    def _metrics(self, tables: Mapping[str, str]) -> str:
        """All numbers of all tables, and all parameters behind them, for `dvc metrics diff` and `dvc params diff`."""
        parameters = {
            "tables": [{"name": name, "layout": self.plan[tables[name]].parameters} for name in sorted(tables)],
            "settings": all_settings(self.plan.upstream(tables.values())),
        }
        inputs = {name: self.plan[path].inputs["cells"] for name, path in tables.items()}
        return self._add("metrics", (), parameters, inputs, "yaml")

    def compared(self, tables: Mapping[str, str]) -> dict[str, Any]:
        """For the page of an experiment with a comparison: what is in print for each table, and the published file."""
        if "comparison" not in self.experiment.reports:
            return {"papers": {}, "published": {}}
        file = "published.csv"
        return {"papers": self._papers(tables), "published": {file: self._sha256(file)}}

    def pdf(self, targets: Mapping[str, str]) -> str:
        """One document of all tables and figures.

        Args:
            targets: name -> path of the experiment's tables and figures.
        """
        ordered = sorted(targets, key=in_print)
        kinds = {kind: tuple(targets[n] for n in ordered if self.plan[targets[n]].kind == kind) for kind in RENDERED}
        entries = [[name, self.plan[targets[name]].parameters["number"]] for name in ordered]
        return self.plan.add(
            Artifact(
                path=paths.rendered(self.name, "paper", "pdf"),
                kind="pdf",
                parameters={"title": self.experiment.title, "entries": entries},
                versions={"stage": STAGE_VERSIONS["pdf"]},
                inputs={"tables": kinds["table"], "figures": kinds["figure"]},
            )
        )

    def _papers(self, tables: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
        return {name: self._in_print(name) for name in sorted(tables) if self._comparable(name)}

    def _comparable(self, name: str) -> bool:
        return isinstance(self.config.tables[name], AccuracyTable | TriggerTable)

    def _in_print(self, name: str) -> list[dict[str, Any]]:
        """For each slot of a table: the paper's protocol, and the published counterpart of each column."""
        table, selection = self.config.tables[name], self.experiment.tables[name]
        columns = selection.columns or table.columns
        return [
            {
                "protocol": paper.facts(),
                "columns": [self._counterpart(paper, column) for column in columns],
            }
            for slot in _slots_in_print(table, selection)
            for paper in [self._paper(slot)]
        ]

    def _paper(self, slot: Slot) -> ProtocolArtifacts:
        experiment = self.config.experiments.get(PAPER)
        if experiment is None or slot not in experiment.slots:
            raise UserError(
                f"config/experiments/{self.name}.yaml: reports: a comparison needs the experiment {PAPER} with a "
                f"protocol in slot {slot}, which says what the published columns are: add it, or drop the comparison"
            )
        return ProtocolArtifacts(self.config, experiment.slots[slot], self.plan, self.variants)

    def _counterpart(self, paper: ProtocolArtifacts, column: Column) -> dict[str, str] | None:
        """What the paper prints for the column's role: the variant that has this role in the paper's protocol."""
        kind, name = ("preprocessing", column.preprocessing) if column.preprocessing else ("paradigms", column.victim)
        variant = getattr(self.config, kind).get(paper.protocol.roles.get(name, name))
        if variant is None:
            return None
        return counterpart(variant.class_, {"eps": paper.protocol.attack.eps, **variant.parameters})

    def _add(
        self,
        kind: str,
        files: Sequence[str],
        parameters: Mapping[str, Any],
        inputs: Mapping[str, tuple[str, ...]],
        suffix: str = "md",
    ) -> str:
        published = {"published": {file: self._sha256(file) for file in files}} if files else {}
        return self.plan.add(
            Artifact(
                path=paths.rendered(self.name, kind, suffix),
                kind=kind,
                parameters={**parameters, **published},
                versions={"stage": STAGE_VERSIONS[kind]},
                inputs=inputs,
                companions=tuple(paths.rendered(self.name, *companion) for companion in COMPANIONS[kind]),
            )
        )

    def _sha256(self, file: str) -> str:
        if file not in self.config.published:
            raise UserError(f"config/published/{file} is missing: a report needs it, so restore it")
        return self.config.published[file]


def _slots_in_print(table: TableBase, selection: Selection) -> list[Slot]:
    """The slots that the paper's table shows where the experiment's shows its own."""
    return [slot if slot in table.slots else table.slots[0] for slot in selection.slots or table.slots]
