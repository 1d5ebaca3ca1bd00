"""Reports planned: a run beside the published numbers, and these numbers audited."""

from __future__ import annotations

from collections.abc import Mapping

from trigger_activation.errors import UserError
from trigger_activation.plan import kinds, recipes
from trigger_activation.plan.artifacts import ProtocolArtifacts
from trigger_activation.plan.config.schema import Config
from trigger_activation.plan.config.tables import AccuracyTable, Column, TriggerTable
from trigger_activation.plan.config.values import Slot
from trigger_activation.plan.counterparts import counterpart
from trigger_activation.plan.graph import Artifact, Plan
from trigger_activation.plan.kind import Kind
from trigger_activation.plan.layouts import (
    ComparedTable,
    Counterpart,
    InPrint,
    KindParameters,
    NamedTable,
    protocols_of,
)
from trigger_activation.plan.order import in_print
from trigger_activation.plan.settings import all_settings
from trigger_activation.plan.variants import Variants

PAPER = "paper"
"""The experiment that is the published one: its protocols say which variant a role stands for in print."""
PUBLISHED = "published.csv"
"""All numbers that the paper prints, below ``config/published``."""
WORDS = "table6.csv"
"""The words of Table VI, beside it."""


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
            kind: ``findings``, ``comparison``, ``audit`` or ``metrics``.
            tables: name -> path of the experiment's tables.
        """
        if kind == "audit":
            published = self._published(PUBLISHED, WORDS)
            return self._add(kinds.AUDIT, recipes.AuditParameters(published=published), {})
        if kind == "metrics":
            return self._metrics(tables)
        compared = self._compared(tables)
        inputs = {table.name: tables[table.name] for table in compared}
        if kind == "findings":
            published = self._published(PUBLISHED, WORDS)
            return self._add(kinds.FINDINGS, recipes.FindingsParameters(tables=compared, published=published), inputs)
        published = self._published(PUBLISHED, WORDS)
        if self.config.paper is None:
            raise UserError("config/published/paper.yaml is missing: a comparison needs it, so restore it")
        parameters = recipes.ComparisonParameters(paper=self.config.paper, tables=compared, published=published)
        return self._add(kinds.COMPARISON, parameters, inputs)

    def _compared(self, tables: Mapping[str, str]) -> list[ComparedTable]:
        return [
            ComparedTable(name=name, layout=self.plan[tables[name]].parameters, paper=paper)
            for name, paper in self._papers(tables).items()
        ]

    def _metrics(self, tables: Mapping[str, str]) -> str:
        """All numbers of all tables, and all parameters behind them, for `dvc metrics diff` and `dvc params diff`."""
        parameters = recipes.MetricsParameters(
            tables=[NamedTable(name=name, layout=self.plan[tables[name]].parameters) for name in sorted(tables)],
            settings=all_settings(self.plan.upstream(tables.values())),
        )
        return self._add(kinds.METRICS, parameters, tables)

    def compared(self, tables: Mapping[str, str]) -> tuple[dict[str, list[InPrint]], dict[str, str]]:
        """For the page of an experiment with a comparison: what is in print for each table, and the published files."""
        if "comparison" not in self.experiment.reports:
            return {}, {}
        return self._papers(tables), self._published(PUBLISHED)

    def pdf(self, targets: Mapping[str, str], findings: str | None) -> str:
        """One document of all tables and figures.

        Args:
            targets: name -> path of the experiment's tables and figures.
            findings: path of what the experiment found, if it says so.
        """
        ordered = sorted(targets, key=in_print)
        shown = [self.plan[targets[name]] for name in ordered]
        run = kinds.RUN.path(self._names)
        inputs = {
            "findings": (findings,) if findings else (),
            "tables": tuple(artifact.path for artifact in shown if artifact.kind is kinds.TABLE),
            "figures": tuple(artifact.path for artifact in shown if artifact.kind is kinds.FIGURE),
        }
        parameters = recipes.PdfParameters(
            experiment=self.name,
            title=self.experiment.title,
            paper=self.config.paper if findings else None,
            entries=[(name, artifact.parameters.number) for name, artifact in zip(ordered, shown, strict=True)],
            protocols=protocols_of(artifact.parameters for artifact in shown if artifact.kind is kinds.TABLE),
        )
        optional = {"run": (run,)} if run in self.plan.artifacts else {}
        return self.plan.add(
            Artifact(kinds.PDF, self._names, parameters, {"stage": kinds.PDF.version}, inputs, optional)
        )

    def _papers(self, tables: Mapping[str, str]) -> dict[str, list[InPrint]]:
        return {name: self._in_print(name) for name in sorted(tables) if self._comparable(name)}

    def _comparable(self, name: str) -> bool:
        return isinstance(self.config.tables[name], AccuracyTable | TriggerTable)

    def _in_print(self, name: str) -> list[InPrint]:
        """For each slot of a table: the paper's protocol, and the published counterpart of each column."""
        table, selection = self.config.tables[name], self.experiment.tables[name]
        columns = selection.columns or table.columns
        return [
            InPrint(
                protocol=paper.facts(),
                columns=[self._counterpart(paper, paper, column) for column in columns],
                own=[self._counterpart(here, paper, column) for column in columns],
            )
            for slot in selection.slots or table.slots
            for here in [ProtocolArtifacts(self.config, self.experiment.slots[slot], self.plan, self.variants)]
            for paper in [self._paper(slot if slot in table.slots else table.slots[0])]
        ]

    def _paper(self, slot: Slot) -> ProtocolArtifacts:
        experiment = self.config.experiments.get(PAPER)
        if experiment is None or slot not in experiment.slots:
            raise UserError(
                f"config/experiments/{self.name}.yaml: reports: a comparison needs the experiment {PAPER} with a "
                f"protocol in slot {slot}, which says what the published columns are: add it, or drop the comparison"
            )
        return ProtocolArtifacts(self.config, experiment.slots[slot], self.plan, self.variants)

    def _counterpart(self, filled: ProtocolArtifacts, paper: ProtocolArtifacts, column: Column) -> Counterpart | None:
        """What the paper calls the variant that has the column's role in a protocol, under the paper's own budget."""
        kind, name = ("preprocessing", column.preprocessing) if column.preprocessing else ("paradigms", column.victim)
        variant = getattr(self.config, kind).get(filled.protocol.roles.get(name, name))
        if variant is None:
            return None
        return counterpart(variant.class_, {"eps": paper.protocol.attack.eps, **variant.parameters})

    def _add(self, kind: Kind, parameters: KindParameters, tables: Mapping[str, str]) -> str:
        """A report of the cells of some tables, by name."""
        inputs = {name: self.plan[path].inputs["cells"] for name, path in tables.items()}
        return self.plan.add(Artifact(kind, self._names, parameters, {"stage": kind.version}, inputs))

    @property
    def _names(self) -> dict[str, str]:
        return {"experiment": self.name}

    def _published(self, *files: str) -> dict[str, str]:
        """Files of published numbers and their sha256."""
        for file in files:
            if file not in self.config.published:
                raise UserError(f"config/published/{file} is missing: a report needs it, so restore it")
        return {file: self.config.published[file] for file in files}
