"""``trigact replicate``: whether a second run of an experiment says what the first one said."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trigger_activation.errors import UserError, suggest
from trigger_activation.plan import Plan, build_plan, kinds
from trigger_activation.plan.config import load_config
from trigger_activation.plan.contents import Cell, RunTotals
from trigger_activation.plan.layouts import AccuracyLayout, Facts
from trigger_activation.report.replication import Machine, Turn, report, turns, twins
from trigger_activation.report.wording import listed
from trigger_activation.store.committed import committed_document
from trigger_activation.store.documents import Document, read_document

Read = Callable[[str], Document | None]


@dataclass(frozen=True)
class Run:
    """One run of an experiment, and where its artifacts are read from."""

    title: str
    plan: Plan
    experiment: str
    read: Read

    @property
    def targets(self) -> dict[str, str]:
        """Name -> path of what the experiment consists of."""
        if self.experiment not in self.plan.targets:
            raise UserError(
                f"there is no experiment {self.experiment!r}: {suggest(self.experiment, self.plan.targets)}"
            )
        return self.plan.targets[self.experiment]

    def document(self, path: str) -> Document:
        """A JSON artifact of the run.

        Raises:
            UserError: there is none, or it was made by another recipe.
        """
        document = self.read(path)
        if document is None:
            raise UserError(f"{self.title} has no {path}: make the experiment {self.experiment} first")
        if document.record.recipe != self.plan[path].recipe:
            raise UserError(
                f"{path} of {self.title} was made by another recipe than the one planned: a replication compares runs "
                "of the same protocol"
            )
        return document


def replicate(options: argparse.Namespace) -> int:
    """Print how a run compares with a committed one, or with another experiment that runs the same protocols."""
    plan = build_plan(load_config(Path("config")))
    if options.other is None:
        print(compared(*since(plan, options.experiment, options.at)))
    elif options.at is None:
        print(compared(*(Run(name, plan, name, read_document) for name in (options.experiment, options.other))))
    else:
        raise UserError(
            "--at compares an experiment with itself at another commit: name one experiment, or leave --at out"
        )
    return 0


def since(plan: Plan, experiment: str, revision: str | None = None) -> tuple[Run, Run]:
    """The run that a commit holds (None: the last one), and the one that is here."""
    title = "the committed run" if revision is None else f"the run of {revision}"
    before = partial(committed_document, revision=revision or "HEAD")
    return Run(title, plan, experiment, before), Run("this run", plan, experiment, read_document)


def compared(first: Run, second: Run) -> str:
    """The replication in Markdown.

    Raises:
        UserError: the runs have no table in common, are of different protocols, or one of them lacks something.
    """
    shared = list(_shared_tables(first, second))
    if not shared:
        raise UserError(f"{first.experiment} and {second.experiment} share no table of accuracies: compare others")
    pairs = {
        one.record.path: (one, other) for _, ones, others in shared for one, other in zip(ones, others, strict=True)
    }
    same = sum(one.record.content_sha256 == other.record.content_sha256 for one, other in pairs.values())
    machines = {run.title: _machine(run) for run in (first, second)}
    tables = [(layout, _cells(ones), _cells(others)) for layout, ones, others in shared]
    return report(twins(tables), _turns(first, second), machines, same, len(pairs))


def _shared_tables(first: Run, second: Run) -> Iterator[tuple[AccuracyLayout, Sequence[Document], Sequence[Document]]]:
    """The accuracy tables that both runs have, and the documents of their cells."""
    for name in (name for name in first.targets if name in second.targets):
        one, other = (run.plan[run.targets[name]] for run in (first, second))
        if isinstance(one.parameters, AccuracyLayout):
            _refuse_other_protocols(one.parameters.protocol, other.parameters.protocol)
            _refuse_other_cells(first.plan, one.inputs["cells"], other.inputs["cells"])
            ones = [first.document(path) for path in one.inputs["cells"]]
            yield one.parameters, ones, [second.document(path) for path in other.inputs["cells"]]


def _cells(documents: Sequence[Document]) -> list[Cell]:
    return [document.content for document in documents]


def _refuse_other_protocols(one: Facts, other: Facts) -> None:
    named = [facts.model_copy(update={"name": ""}) for facts in (one, other)]
    if named[0] != named[1]:
        raise UserError(
            f"{one.name} and {other.name} are different protocols: a replication compares runs of the same one"
        )


def _refuse_other_cells(plan: Plan, ones: Sequence[str], others: Sequence[str]) -> None:
    if len(ones) != len(others):
        raise UserError(
            f"{ones[0]} and {others[0]} stand in tables of other rows or columns: compare runs of one table"
        )
    for one, other in zip(ones, others, strict=True):
        if plan[one].settings != plan[other].settings:
            raise UserError(f"{one} and {other} are made by different recipes: compare runs of the same protocol")


def _turns(first: Run, second: Run) -> list[Turn]:
    """None where one of the experiments has no findings."""
    paths = [run.targets.get("findings") for run in (first, second)]
    found = [run.document(path).content for run, path in zip((first, second), paths, strict=True) if path]
    return turns(*found) if len(found) == len(paths) else []


def _machine(run: Run) -> Machine | None:
    """Where its networks were trained, if the account of the run is there."""
    path = kinds.RUN.path({"experiment": run.experiment})
    if path not in run.plan.artifacts or (document := run.read(path)) is None:
        return None
    made: RunTotals = document.content
    return Machine(listed(made.devices), listed(made.arithmetic), listed(made.packages.get("torch", [])))
