"""Whether a second run of an experiment says what the first one said."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from trigger_activation.plan.contents import Cell, Findings
from trigger_activation.plan.layouts import AccuracyLayout
from trigger_activation.report.published.verdicts import Outcome
from trigger_activation.report.tables.accuracy import in_rows, statistics
from trigger_activation.report.wording import listed
from trigger_activation.science.evaluation.contrast import difference
from trigger_activation.science.evaluation.results import PairMean
from trigger_activation.science.evaluation.uncertainty import Estimate

EXPECTED = 95
"""Percent of cells that should lie inside their intervals, if these are right."""
DECISIVE = {Outcome.HOLDS, Outcome.FAILS}

TwinTable = tuple[AccuracyLayout, Sequence[Cell], Sequence[Cell]]
"""A table, its cells in the first run and in the second."""


@dataclass(frozen=True)
class Twin:
    """One cell of both runs."""

    path: str
    first: PairMean
    second: PairMean
    difference: Estimate
    """The second run minus the first, whose networks are independent of it and whose test images are the same."""

    @property
    def inside(self) -> bool:
        """Whether the difference is one that the two intervals together allow."""
        return self.difference.sign == 0


@dataclass(frozen=True)
class Turn:
    """What both runs say to one statement of the paper, over the pairs that its table prints or others."""

    statement: str
    first: str
    second: str
    apart: bool = False
    """Whether over pairs of different architectures alone."""

    @property
    def what(self) -> str:
        """``agree``, ``opposite``, or ``open`` where one run is decisive and the other is not."""
        if self.first == self.second:
            return "agree"
        return "opposite" if {self.first, self.second} == DECISIVE else "open"


@dataclass(frozen=True)
class Machine:
    """Where cells were made."""

    processor: str
    arithmetic: str
    torch: str

    def __str__(self) -> str:
        """In words."""
        return f"{self.processor} (rounding {self.arithmetic or 'unknown'}, torch {self.torch or 'unknown'})"


def twins(tables: Iterable[TwinTable]) -> list[Twin]:
    """Every cell once, as the table that shows it first averages it."""
    found: dict[str, Twin] = {}
    for layout, first, second in tables:
        width = len(layout.columns)
        for row, other in zip(in_rows(first, width), in_rows(second, width), strict=True):
            for twin in _row(layout, row, other):
                found.setdefault(twin.path, twin)
    return list(found.values())


def _row(layout: AccuracyLayout, row: Sequence[Cell], other: Sequence[Cell]) -> Iterator[Twin]:
    first, second = ([statistics(layout, cell) for cell in cells] for cells in (row, other))
    for cell, before, after in zip(row, first, second, strict=True):
        yield Twin(cell.path, before, after, difference(after, before, paired=False))


def turns(first: Findings, second: Findings) -> list[Turn]:
    """The verdicts on the statements that both runs can test, two on each."""
    others = {(verdict.statement, verdict.table): verdict for verdict in second.verdicts}
    found = []
    for verdict in first.verdicts:
        if other := others.get((verdict.statement, verdict.table)):
            name = f"{verdict.statement} (Table {verdict.table})"
            found.append(Turn(name, verdict.here, other.here))
            found.append(Turn(name, verdict.other_architectures, other.other_architectures, apart=True))
    return [turn for turn in found if Outcome.NOT_RUN not in {turn.first, turn.second}]


def report(
    found: Sequence[Twin], verdicts: Sequence[Turn], machines: Mapping[str, Machine | None], same: int, total: int
) -> str:
    """A replication in Markdown.

    Args:
        found: cells of both runs.
        verdicts: of both runs.
        machines: name of a run -> where its cells were made.
        same: how many cells have the same content in both.
        total: of how many.
    """
    return "\n".join([*_cells(found), "", *_verdicts(verdicts), "", *_machines(machines, same, total)])


def _cells(found: Sequence[Twin]) -> list[str]:
    known = [twin for twin in found if twin.difference.known]
    if not known:
        return [
            "**Cells.** All of them rest on a single seed, so nothing is known of how far another run may move them."
        ]
    inside = sum(twin.inside for twin in known)
    furthest = max(known, key=lambda twin: abs(twin.difference.mean))
    shifts = math.sqrt(fmean(twin.difference.mean**2 for twin in known))
    single = len(found) - len(known)
    alone = f" Of {single} cells of a single seed nothing is known." if single else ""
    lines = [
        f"**Cells.** {inside} of {len(known)} ({100 * inside / len(known):.0f} %) lie inside the 95 % interval of the "
        f"difference; {EXPECTED} % are expected to.{alone} Differences have a root mean square of {shifts:.1f} "
        f"points; the largest is {furthest.difference.mean:+.1f}, in `{furthest.path}`."
    ]
    if outside := sorted((t for t in known if not t.inside), key=lambda twin: -abs(twin.difference.mean)):
        lines += ["", "| outside its interval | first run | second run | difference |", "|---|---|---|---|"]
        lines += [_outside(twin) for twin in outside]
    return lines


def _outside(twin: Twin) -> str:
    found = twin.difference
    return (
        f"| `{twin.path}` | {twin.first.mean:.1f} | {twin.second.mean:.1f} | {found.mean:+.1f} ± {found.margin():.1f} |"
    )


def _verdicts(verdicts: Sequence[Turn]) -> list[str]:
    counted = Counter(turn.what for turn in verdicts)
    lines = [
        f"**Verdicts.** Of {len(verdicts)} that both runs reach, over the pairs that a table prints and over those of "
        f"different architectures alone, {counted['agree']} are the same, {counted['open']} turned to or from open, "
        f"{counted['opposite']} are opposite."
    ]
    if turned := [turn for turn in verdicts if turn.what != "agree"]:
        lines += ["", "| statement | pairs | first run | second run |", "|---|---|---|---|"]
        lines += [f"| {turn.statement} | {_pairs(turn)} | {turn.first} | {turn.second} |" for turn in turned]
    return lines


def _pairs(turn: Turn) -> str:
    return "different architectures" if turn.apart else "as printed"


def _machines(machines: Mapping[str, Machine | None], same: int, total: int) -> list[str]:
    where = listed([f"{name} on {made or 'a machine that no account names'}" for name, made in machines.items()])
    return [
        f"**Machines.** {where}. {same} of {total} cells have the same content. Equal content is expected where seeds "
        "and rounding are the same, and nowhere else: a few epochs amplify the last bit of a number."
    ]
