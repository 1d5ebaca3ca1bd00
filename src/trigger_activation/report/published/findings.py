"""What an experiment found, in sentences that are made of its cells and of the published numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from trigger_activation.plan.contents import Content, Findings, Kept, Verdict
from trigger_activation.plan.layouts import AccuracyLayout, ComparedTable
from trigger_activation.report.addresses import address
from trigger_activation.report.published.check import Check
from trigger_activation.report.published.claims import Term
from trigger_activation.report.published.comparison import PUBLISHED, Comparison, TableInPrint, compare
from trigger_activation.report.published.numbers import MEAN, Published
from trigger_activation.report.published.run import OFF_DIAGONAL, PRINTED
from trigger_activation.report.published.verdicts import Judgement, Outcome
from trigger_activation.report.published.wording import decided_by
from trigger_activation.report.standings import Standing, ranked_tables, standings
from trigger_activation.report.wording import listed

TRIGGERS = ("ours_fixed", "ours_learnable")
BASELINES = {"none": "no defense", "at_pgd": "adversarial training"}
"""Beside which a trigger is told, and what they are called."""
CHECKS_TOLD = ("mean_rows", "ranks_of_means", "disagreements", "marks")
"""What the audit found that bears on the reading of a comparison."""

OUTCOMES = (Outcome.FAILS, Outcome.HOLDS, Outcome.UNDECIDED, Outcome.NOT_RUN)
"""In the order in which a reader asks for them."""


def find(
    published: Published,
    checks: Sequence[Check],
    tables: Sequence[ComparedTable],
    cells: Mapping[str, Sequence[Content]],
) -> Findings:
    """Everything that a reader should know first.

    Args:
        published: the published numbers.
        checks: their audit.
        tables: those of the run that have a published counterpart.
        cells: the contents of each table's cells, in the plan's order.
    """
    comparison = compare(published, tables, cells)
    names = {table.layout.number: table.name for table in tables}
    told = [check.finding for check in checks if check.name in CHECKS_TOLD]
    layout = _layout(tables)
    kept = _kept(layout, comparison, cells) if layout else []
    return Findings(
        dataset=layout.protocol.dataset if layout else "",
        table=layout.number if layout else "",
        kept=kept,
        headline=[*([_gain(layout, kept)] if layout and kept else []), _tally(comparison), told[0]],
        differences=differences(comparison),
        verdicts=[_verdict(judgement, comparison, names) for judgement in comparison.judgements],
        audit=told,
    )


def by_outcome(verdicts: Iterable[Verdict]) -> list[tuple[str, list[Verdict]]]:
    """Outcomes in a run, and the statements that come to them."""
    given = list(verdicts)
    groups = [(outcome, [verdict for verdict in given if verdict.here == outcome]) for outcome in map(str, OUTCOMES)]
    return [(outcome, group) for outcome, group in groups if group]


def differences(comparison: Comparison) -> list[str]:
    """What tables of the run were made with instead of what the paper used, those alike together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for table in comparison.tables:
        if table.changes:
            groups.setdefault(tuple(table.changes), []).append(table.number)
    return [f"Table{'s' * (len(n) > 1)} {listed(n)}: {'; '.join(changes)}." for changes, n in groups.items()]


def tally(judgements: Sequence[Judgement], measure: str) -> dict[Outcome, int]:
    """How many statements come to what."""
    outcomes = [judgement.verdicts[measure].outcome for judgement in judgements]
    return {outcome: outcomes.count(outcome) for outcome in Outcome}


def _tally(comparison: Comparison) -> str:
    here, there = (tally(comparison.judgements, measure) for measure in (PRINTED, PUBLISHED))
    tested = len(comparison.judgements) - here[Outcome.NOT_RUN]
    return (
        f"Of the paper's {len(comparison.judgements)} statements about its tables this run can test {tested}: it "
        f"supports {here[Outcome.HOLDS]}, contradicts {here[Outcome.FAILS]} and leaves {here[Outcome.UNDECIDED]} open; "
        f"the published tables themselves contradict {there[Outcome.FAILS]}."
    )


def _layout(tables: Sequence[ComparedTable]) -> AccuracyLayout | None:
    """Of the table that ranks the defenses of the first data set."""
    return next(iter(ranked_tables(table.layout for table in tables)), None)


def _kept(layout: AccuracyLayout, comparison: Comparison, cells: Mapping[str, Sequence[Content]]) -> list[Kept]:
    """What the best trigger keeps, and no defense, and adversarial training."""
    (table,) = (table for table in comparison.tables if table.number == layout.number)
    contents = cells[table.name]
    every = _of_interest(table, standings(layout, contents, table.in_print))
    apart = {each.column: each for each in standings(layout, contents, table.in_print, OFF_DIAGONAL)}
    return [
        Kept(
            defense=name,
            clean=each.clean.measured,
            attacked=each.mean.measured,
            other_architectures=apart[each.column].mean.measured,
            in_print=each.mean.printed,
        )
        for name, each in every.items()
    ]


def _gain(layout: AccuracyLayout, kept: Sequence[Kept]) -> str:
    each = listed([f"{one.defense} keeps {one.attacked:.1f} %" for one in kept])
    apart = listed([f"{one.other_architectures:.1f}" for one in kept])
    return (
        f"Under transfer attacks on {layout.protocol.dataset} (the mean of Table {layout.number}), {each}; between "
        f"networks of different architectures alone it is {apart} %."
    )


def _of_interest(table: TableInPrint, ranked: Sequence[Standing]) -> dict[str, Standing]:
    """Of the triggers the one that keeps most under attack, then no defense, and adversarial training."""
    defenses = [column.defense if column else "" for column in table.columns]
    triggers = [each for name, each in zip(defenses, ranked, strict=True) if name in TRIGGERS]
    best = max(triggers, key=lambda each: each.mean.measured, default=None)
    others = {BASELINES[name]: each for name, each in zip(defenses, ranked, strict=True) if name in BASELINES}
    return {**({f"the best trigger ({best.column.full})": best} if best else {}), **others}


def _verdict(judgement: Judgement, comparison: Comparison, names: Mapping[str, str]) -> Verdict:
    here = judgement.verdicts[PRINTED]
    deciding = here.deciding
    return Verdict(
        statement=judgement.claim.sentence,
        section=judgement.claim.section,
        table=judgement.table,
        in_print=judgement.verdicts[PUBLISHED].outcome,
        here=here.outcome,
        other_architectures=judgement.verdicts[OFF_DIAGONAL].outcome,
        decided_by=decided_by(deciding, 1, comparison.name) if deciding else "",
        address=_address(comparison, names, deciding.inequality.left) if deciding else "",
    )


def _address(comparison: Comparison, names: Mapping[str, str], term: Term) -> str:
    """Of a number on the page; of its table, where it is in no single cell of it."""
    table = comparison.table(term)
    if table is not None:
        wanted = MEAN if len(term.rows) > 1 else term.rows[0]
        for row in table.rows:
            if row.published == wanted:
                return address(table.name, row.label, table.keys[table.columns.index(term.column)])
    return names.get(term.table, "")
