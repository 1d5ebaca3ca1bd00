"""Experiments planned: tables and figures expanded to the cells they show."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from trigger_activation.errors import UserError
from trigger_activation.plan import kinds, layouts, recipes, sharing
from trigger_activation.plan.config.schema import Config, Experiment, Selection
from trigger_activation.plan.config.tables import (
    AccuracyTable,
    CharacteristicsTable,
    Column,
    ConceptFigure,
    CostTable,
    DifferenceTable,
    Figure,
    ParadigmFigure,
    SupplementaryTable,
    Table,
    TableFigure,
    TheoryFigure,
    TriggerTable,
)
from trigger_activation.plan.config.values import CLEAN, STANDARD, WHITE_BOX
from trigger_activation.plan.graph import Artifact, Inputs, Plan
from trigger_activation.plan.kind import Kind, Names
from trigger_activation.plan.layouts import (
    AccuracyLayout,
    Layout,
    ShownColumn,
    ShownParadigms,
    ShownProtocol,
    ShownRow,
)
from trigger_activation.plan.pages import PagePlanner
from trigger_activation.plan.reports import ReportPlanner
from trigger_activation.plan.studies import ProtocolStudies
from trigger_activation.plan.supplementary import SupplementaryRows
from trigger_activation.plan.variants import Variants
from trigger_activation.plan.wildcards import check_paths, check_rows, constraints
from trigger_activation.science.training.paradigms import PARADIGMS
from trigger_activation.science.training.paradigms.fixed_trigger import FixedTrigger, TriggerActivation

IN_ORDER = ("findings", "comparison", "audit", "metrics", "page", "pdf")
"""Of planning reports: page and PDF quote the findings, and the PDF also the run that is planned with the page."""


def build_plan(config: Config) -> Plan:
    """Plan all experiments in one graph; what they share is there once.

    Raises:
        UserError: config asks for something impossible, or plan/kinds.py is at odds with itself or with config.
    """
    check_rows()
    plan, variants = Plan(), Variants(config)
    with _collector_paused():
        for name, experiment in config.experiments.items():
            ExperimentPlanner(config, name, experiment, plan, variants).run()
    variants.check_overrides()
    check_paths({path: artifact.kind for path, artifact in plan.artifacts.items()}, constraints(config))
    plan.notices = variants.unused()
    return plan


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without looking for garbage among thousands of artifacts that all stay: a quarter of the time of planning."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class ExperimentPlanner:
    """Adds the tables, figures and reports of one experiment to a plan."""

    def __init__(self, config: Config, name: str, experiment: Experiment, plan: Plan, variants: Variants) -> None:
        self.config = config
        self.name = name
        self.experiment = experiment
        self.plan = plan
        self.variants = variants
        self.protocols = {
            slot: ProtocolStudies(config, protocol, plan, variants) for slot, protocol in experiment.slots.items()
        }

    def run(self) -> None:
        """Plan everything that the experiment names."""
        targets = {name: self._table(name, selection) for name, selection in self.experiment.tables.items()}
        targets |= {name: self._figure(name, self.config.figures[name]) for name in self.experiment.figures}
        reports = ReportPlanner(self.config, self.name, self.plan, self.variants)
        tables = {name: targets[name] for name in self.experiment.tables}
        shown = dict(targets)
        for kind in sorted(self.experiment.reports, key=IN_ORDER.index):
            if kind == "page":
                page = PagePlanner(self.config, self.name, self.plan, self.protocols)
                targets[kind] = page.add(shown, reports.compared(tables), targets.get("findings"))
            elif kind == "pdf":
                targets[kind] = reports.pdf(shown, targets.get("findings"))
            else:
                targets[kind] = reports.report(kind, tables)
        self.plan.targets[self.name] = targets
        if self.experiment.replicates is None:
            self.plan.extras[self.name] = tuple(self._excerpts())

    def _excerpts(self) -> Iterator[str]:
        """Of the large TAE sets that judge any model, and of their test images; second runs publish none."""
        for tae in list(self.plan.upstream(self.plan.targets[self.name].values())):
            if tae.kind is kinds.TAE and sharing.judges(tae) and sharing.is_large(tae):
                (test,) = tae.inputs["test"]
                yield self._excerpt(kinds.DATA_EXCERPT, self.plan[test], {"images": (test,)})
                yield self._excerpt(kinds.EXCERPT, tae, {"images": (tae.path,), "test": (test,)})

    def _excerpt(self, kind: Kind, whole: Artifact, inputs: Inputs) -> str:
        parameters = recipes.ExcerptParameters(images=sharing.IMAGES)
        return self.plan.add(Artifact(kind, whole.names, parameters, {"stage": kind.version}, inputs))

    def _slot(self, slot: str, asker: str) -> ProtocolStudies:
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
        if isinstance(table, AccuracyTable | DifferenceTable):
            return self._attacked_table(name, table, selection.rows or table.rows, columns)
        if selection.rows and not isinstance(table, CharacteristicsTable):
            raise UserError(
                f"config/experiments/{self.name}.yaml: tables.{name}.rows selects attacks, which only accuracy tables "
                "have as rows: remove it"
            )
        if isinstance(table, SupplementaryTable):
            return self._supplementary_table(name, table, columns)
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

    def _attacked_table(
        self, name: str, table: AccuracyTable | DifferenceTable, rows: Sequence[str], columns: Sequence[Column]
    ) -> str:
        slot = self._slot(table.slots[0], name)
        resolved = [self._column(slot, column) for column in columns]
        attacks = [*([CLEAN] if table.clean_row else []), *rows]
        cells = [slot.shown_cell(table.surrogates, attack, column) for attack in attacks for column in resolved]
        crafted = [attack for attack in attacks if attack != CLEAN]
        preprocessing = [column.preprocessing for column in resolved if column.preprocessing]
        shown = layouts.AttackedLayout(
            number=table.number,
            title=table.title,
            decimals=self._decimals(table),
            pairs=table.pairs,
            surrogates=table.surrogates,
            rows=self._rows(slot, attacks),
            columns=resolved,
            protocol=slot.facts(),
            changes=[
                *slot.changes("attacks", crafted),
                *slot.changes("preprocessing", preprocessing),
                *slot.changes("paradigms", [column.victim for column in resolved]),
            ],
            substitutes=slot.substitutes(
                [*(("attacks", row) for row in crafted), *(("preprocessing", name) for name in preprocessing)]
            ),
        )
        if isinstance(table, DifferenceTable):
            return self._table_of(name, layouts.DifferenceLayout(kind=table.kind, **dict(shown)), cells)
        layout = layouts.AccuracyLayout(kind=table.kind, mean_row=table.mean_row, **dict(shown))
        return self._table_of(name, layout, cells)

    def _rows(self, slot: ProtocolStudies, attacks: Sequence[str]) -> list[ShownRow]:
        return [ShownRow(attack=attack, label=self._attack_label(slot, attack)) for attack in attacks]

    def _supplementary_table(self, name: str, table: SupplementaryTable, columns: Sequence[Column]) -> str:
        slot = self._slot(table.slots[0], name)
        resolved = [self._column(slot, column) for column in columns]
        rows = SupplementaryRows(slot, lambda attack: self._attack_label(slot, attack))
        cells = [cell for row in table.rows for cell in rows.cells(row, resolved)]
        attacks = [row.attack or WHITE_BOX for row in table.rows if row.attack != CLEAN]
        preprocessing = [column.preprocessing for column in resolved if column.preprocessing]
        layout = layouts.SupplementaryLayout(
            kind=table.kind,
            number=table.number,
            title=table.title,
            decimals=self._decimals(table),
            rows=[rows.shown(row) for row in table.rows],
            columns=resolved,
            protocol=slot.facts(),
            white_box=slot.protocol.white_box if any(row.white_box for row in table.rows) else None,
            informed=slot.informed_facts(table.rows, resolved),
            changes=[
                *slot.changes("attacks", attacks),
                *slot.changes("preprocessing", preprocessing),
                *slot.changes("paradigms", [column.victim for column in resolved]),
            ],
            substitutes=slot.substitutes([("preprocessing", name) for name in preprocessing]),
            notes=table.notes,
        )
        return self._table_of(name, layout, cells)

    def _trigger_table(self, name: str, table: TriggerTable, columns: Sequence[Column]) -> str:
        studies: list[str] = []
        shown = []
        for letter in table.slots:
            slot = self._slot(letter, name)
            resolved = [self._column(slot, column) for column in columns]
            studies += [slot.trigger(column.victim) for column in resolved]
            shown.append(ShownProtocol(protocol=slot.facts(), columns=resolved))
        layout = layouts.TriggerLayout(
            kind=table.kind, number=table.number, title=table.title, decimals=table.decimals, slots=shown
        )
        return self._table_of(name, layout, studies)

    def _cost_table(self, name: str, table: CostTable, columns: Sequence[Column]) -> str:
        costs: list[str] = []
        shown = []
        for letter in table.slots:
            slot = self._slot(letter, name)
            resolved = [self._column(slot, column) for column in columns]
            costs += [self._cost(slot, column) for column in resolved]
            shown.append(ShownProtocol(protocol=slot.facts(), columns=resolved))
        layout = layouts.CostLayout(kind=table.kind, number=table.number, title=table.title, slots=shown)
        return self._table_of(name, layout, costs)

    def _characteristics_table(self, name: str, table: CharacteristicsTable, rows: Sequence[str]) -> str:
        """Its cells: costs and clean accuracies, the undefended ones first, then accuracies attack by attack."""
        slot = self._slot(table.slots[0], name)
        undefended, *resolved = [self._column(slot, column) for column in [Column(), *table.columns]]
        costs = [self._cost(slot, column) for column in (undefended, *resolved)]
        clean = [slot.shown_cell("standard", CLEAN, column) for column in (undefended, *resolved)]
        attacked = [slot.shown_cell("standard", attack, column) for attack in rows for column in resolved]
        layout = layouts.CharacteristicsLayout(
            kind=table.kind,
            number=table.number,
            title=table.title,
            columns=resolved,
            characteristics=table.characteristics,
            rows=self._rows(slot, rows),
            protocol=slot.facts(),
        )
        return self._table_of(name, layout, [*costs, *clean, *attacked])

    @staticmethod
    def _cost(slot: ProtocolStudies, column: ShownColumn) -> str:
        return slot.cost(column.name, column.victim, column.preprocessing)

    def _figure(self, name: str, figure: Figure) -> str:
        if isinstance(figure, ParadigmFigure):
            layout, cells = self._paradigms(name, figure)
        elif isinstance(figure, ConceptFigure):
            layout, cells = self._concept(name, figure)
        elif isinstance(figure, TheoryFigure):
            layout, cells = self._theory(figure)
        else:
            layout, cells = self._of_table(figure)
        names = {"experiment": self.name, "figure": name}
        return self._rendered(kinds.FIGURE, names, layout, cells)

    def _paradigms(self, name: str, figure: ParadigmFigure) -> tuple[Layout, list[str]]:
        studies: list[str] = []
        shown = []
        for letter in figure.slots:
            slot = self._slot(letter, name)
            paradigms = [slot.variant_of_role("paradigms", paradigm) for paradigm in figure.paradigms]
            study = slot.flip if figure.kind == "flip" else slot.trigger
            studies += [study(paradigm) for paradigm in paradigms]
            labels = {paradigm: self.config.paradigms[paradigm].label for paradigm in paradigms}
            shown.append(ShownParadigms(protocol=slot.facts(), paradigms=labels))
        heading = {"number": figure.number, "title": figure.title}
        if figure.kind == "flip":
            return layouts.FlipLayout(kind="flip", **heading, slots=shown), studies
        return layouts.TriggersLayout(kind="triggers", **heading, slots=shown), studies

    def _concept(self, name: str, figure: ConceptFigure) -> tuple[Layout, list[str]]:
        slot = self._slot(figure.slot, name)
        paradigm = slot.variant_of_role("paradigms", figure.paradigm)
        layout = layouts.ConceptLayout(
            kind=figure.kind,
            number=figure.number,
            title=figure.title,
            protocol=slot.facts(),
            class_names=self.config.datasets[slot.protocol.dataset].class_names,
            paradigm=self.config.paradigms[paradigm].label,
            attack=self._attack_label(slot, figure.attack),
        )
        return layout, [slot.concept(paradigm, figure.attack, figure.examples)]

    def _theory(self, figure: TheoryFigure) -> tuple[Layout, list[str]]:
        """The table's columns with fixed triggers."""
        table = self._layout_of(figure.table)
        slot = next(slot for slot in self.protocols.values() if slot.name == table.protocol.name)
        victims = [column.victim for column in table.columns]
        paradigms = list(dict.fromkeys(victim for victim in victims if self._is_paradigm(victim, FixedTrigger)))
        if not paradigms:
            raise UserError(
                f"config/experiments/{self.name}.yaml: {figure.table} shows no network with a fixed trigger, which the "
                "figure of the theorems is about: add such a column, or leave the figure out"
            )
        layout = layouts.TheoryLayout(
            kind=figure.kind,
            number=figure.number,
            title=figure.title,
            protocol=table.protocol,
            attack=self._attack_label(slot, figure.attack),
        )
        return layout, [slot.theory(paradigm, figure.attack) for paradigm in paradigms]

    def _of_table(self, figure: TableFigure) -> tuple[Layout, list[str]]:
        table, cells = self._layout_of(figure.table), list(self._rendered_table(figure.table).inputs["cells"])
        heading: dict[str, str] = {"number": figure.number, "title": figure.title}
        if figure.kind == "matrices":
            return layouts.MatricesLayout(kind="matrices", **heading, table=table), cells
        if table.rows[0].attack != CLEAN:
            raise UserError(
                f"config/tables/{figure.table}.yaml has no clean row, which the figure of clean against robust "
                "accuracy needs: let the figure show another table"
            )
        families = [self._family(column) for column in table.columns]
        return layouts.TradeoffLayout(kind="tradeoff", **heading, table=table, families=families), cells

    def _layout_of(self, name: str) -> AccuracyLayout:
        layout = self._rendered_table(name).parameters
        assert isinstance(layout, AccuracyLayout)  # Config refuses figures of other tables.
        return layout

    def _rendered_table(self, name: str) -> Artifact:
        return self.plan[kinds.TABLE.path({"experiment": self.name, "table": name})]

    def _family(self, column: ShownColumn) -> str:
        if self._is_paradigm(column.victim, TriggerActivation):
            return "Trigger activation"
        undefended = column.victim == STANDARD and not column.preprocessing
        return "Undefended" if undefended else column.group or "Other defenses"

    def _is_paradigm(self, victim: str, cls: type[TriggerActivation]) -> bool:
        variant = self.config.paradigms.get(victim)
        return variant is not None and issubclass(PARADIGMS[variant.class_], cls)

    def _column(self, slot: ProtocolStudies, column: Column) -> ShownColumn:
        imported = self.config.victims.get(column.victim)
        victim = column.victim if imported else slot.variant_of_role("paradigms", column.victim)
        preprocessing = column.preprocessing and slot.variant_of_role("preprocessing", column.preprocessing)
        name = preprocessing or (victim if victim != STANDARD else "none")
        return ShownColumn(
            name=name,
            victim=victim,
            preprocessing=preprocessing,
            label=column.label or self._column_label(slot, victim, preprocessing),
            group=column.group,
            seeds=len(slot.networks_and_seeds(victim)[1]),
            network=self.config.networks[imported.network].label if imported else None,
        )

    def _decimals(self, table: Table) -> int:
        chosen = self.experiment.decimals
        return table.decimals if chosen is None else chosen

    def _column_label(self, slot: ProtocolStudies, victim: str, preprocessing: str | None) -> str:
        if preprocessing:
            return self._marked_label(slot, "preprocessing", preprocessing)
        return (self.config.victims.get(victim) or self.config.paradigms[victim]).label

    def _attack_label(self, slot: ProtocolStudies, attack: str) -> str:
        if attack == CLEAN:
            return "Clean"
        return self._marked_label(slot, "attacks", attack)

    def _marked_label(self, slot: ProtocolStudies, kind: str, name: str) -> str:
        """The label of an attack or a preprocessing, and whether it rests on a substitute."""
        helper = slot.helper_of(kind, name)
        label: str = getattr(self.config, kind)[name].label
        return f"{label} (substitute)" if helper and self.config.helpers[helper].substitute else label

    def _table_of(self, name: str, layout: Layout, cells: Sequence[str]) -> str:
        return self._rendered(kinds.TABLE, {"experiment": self.name, "table": name}, layout, cells)

    def _rendered(self, kind: Kind, names: Names, layout: Layout, cells: Sequence[str]) -> str:
        return self.plan.add(Artifact(kind, names, layout, {"stage": kind.version}, {"cells": tuple(cells)}))
