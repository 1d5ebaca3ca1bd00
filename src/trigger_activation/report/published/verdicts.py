"""Verdicts on the paper's claims: do their inequalities hold, in print and in a run?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from trigger_activation.report.published.claims import CLAIMS, Claim, Inequality, Term, View
from trigger_activation.report.published.numbers import Published
from trigger_activation.science.evaluation.uncertainty import Estimate, Variance

Measure = Callable[[Term, Term], Estimate | None]
"""The left term minus the right one, or None where one of them is not there."""

WHOLE = 1.0
"""Points to which a printed cell can be trusted: many columns are off by whole numbers (see the audit)."""


class Outcome(StrEnum):
    """What a claim or one of its inequalities comes to."""

    HOLDS = "supported"
    FAILS = "contradicted"
    UNDECIDED = "open"
    NOT_RUN = "not tested"


@dataclass(frozen=True)
class Finding:
    """One inequality and the difference that decides it."""

    inequality: Inequality
    difference: Estimate

    @property
    def slack(self) -> float:
        """How far inside the bounds the difference lies; negative outside."""
        return min(
            self.difference.mean - self.inequality.above,
            self.inequality.below - self.difference.mean,
        )

    @property
    def outcome(self) -> Outcome:
        """Undecided if a bound lies inside the 95 % interval of the difference."""
        if abs(self.slack) <= self.difference.margin() and self.difference.margin() > 0:
            return Outcome.UNDECIDED
        return Outcome.HOLDS if self.slack > 0 else Outcome.FAILS


@dataclass(frozen=True)
class ClaimVerdict:
    """On one claim about one table."""

    findings: Sequence[Finding]
    """The inequalities that could be judged."""
    not_run: int
    """Inequalities that could not."""

    @property
    def outcome(self) -> Outcome:
        """A claim fails with any of its inequalities and holds with all of them."""
        found = {finding.outcome for finding in self.findings}
        for outcome in (Outcome.FAILS, Outcome.UNDECIDED, Outcome.HOLDS):
            if outcome in found:
                return outcome
        return Outcome.NOT_RUN

    def count(self, outcome: Outcome) -> int:
        """How many inequalities come to this."""
        return sum(finding.outcome is outcome for finding in self.findings)

    @property
    def deciding(self) -> Finding | None:
        """Of the inequalities that come to the verdict, the one furthest from holding."""
        decisive = [finding for finding in self.findings if finding.outcome is self.outcome]
        return min(decisive, key=lambda finding: finding.slack, default=None)

    @property
    def one_seed(self) -> bool:
        """Whether a mean of a single seed takes part."""
        return any(finding.difference.one_seed for finding in self.findings)


@dataclass(frozen=True)
class Judgement:
    """A claim about one table, judged by several measures."""

    claim: Claim
    table: str
    verdicts: dict[str, ClaimVerdict]


def judge(inequalities: Sequence[Inequality], measure: Measure) -> ClaimVerdict:
    """Put inequalities to one set of numbers."""
    differences = [(inequality, measure(inequality.left, inequality.right)) for inequality in inequalities]
    findings = [Finding(inequality, difference) for inequality, difference in differences if difference is not None]
    return ClaimVerdict(findings, len(differences) - len(findings))


def judge_claims(published: Published, measures: dict[str, Measure]) -> list[Judgement]:
    """All claims, table by table, by each measure."""
    return [
        Judgement(claim, table, {name: judge(inequalities, measure) for name, measure in measures.items()})
        for claim in CLAIMS
        for table in claim.tables
        for inequalities in [claim.inequalities(View(published, table))]
    ]


def in_print(published: Published) -> Measure:
    """Differences of published numbers; means over rows are those of the cells."""

    def mean(term: Term) -> float | None:
        values = [published.value(term.table, row, term.column) for row in term.rows]
        legible = [float(value) for value in values if value is not None]
        return sum(legible) / len(legible) if len(legible) == len(values) else None

    def measure(left: Term, right: Term) -> Estimate | None:
        one, other = mean(left), mean(right)
        if one is None or other is None:
            return None
        return Estimate(one - other, Variance(0.0, math.inf))

    return measure
