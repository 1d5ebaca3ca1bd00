"""The audit and the comparison as Markdown and CSV."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from trigger_activation.report.published.audit import Check
from trigger_activation.report.published.claims import Inequality, Term
from trigger_activation.report.published.comparison import PUBLISHED, Comparison, Pair, TableInPrint
from trigger_activation.report.published.numbers import PrintedColumn
from trigger_activation.report.published.run import OFF_DIAGONAL, PRINTED
from trigger_activation.report.published.verdicts import WHOLE, ClaimVerdict, Finding, Judgement, Outcome
from trigger_activation.report.tables.grid import escape_markdown
from trigger_activation.report.wording import listed

ABSENT = "–"
SIGNED = {"gap", "implied_white_box_accuracy"}
"""Keys of the audit whose values are printed with their sign."""


def render_audit(checks: Sequence[Check]) -> dict[str, str]:
    """The audit's files, by name."""
    records = [{"check": check.name, **record} for check in checks for record in check.records]
    return {"audit.md": _environment().get_template("audit.md.j2").render(checks=checks), "audit.csv": _csv(records)}


def render_comparison(comparison: Comparison) -> dict[str, str]:
    """The comparison's files, by name."""
    text = (
        _environment()
        .get_template("comparison.md.j2")
        .render(
            comparison=comparison,
            changed=_by_protocol(table for table in comparison.tables if table.changes),
            unchanged=[table.number for table in comparison.tables if not table.changes],
            judged=[j for j in comparison.judgements if j.verdicts[PRINTED].outcome is not Outcome.NOT_RUN],
            not_run=[j for j in comparison.judgements if j.verdicts[PRINTED].outcome is Outcome.NOT_RUN],
            counts={name: _counts(comparison.judgements, name) for name in (PUBLISHED, PRINTED, OFF_DIAGONAL)},
        )
    )
    return {
        "comparison.md": text,
        "comparison.csv": _csv(record for table in comparison.tables for record in _cells(table)),
        "claims.csv": _csv(record for judgement in comparison.judgements for record in _verdicts(judgement)),
    }


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("trigger_activation.report.published"),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "markdown": lambda value: escape_markdown(str(value)),
        "listed": listed,
        "signed": _signed,
        "pair": _pair,
        "number": _number,
        "in_print": _in_print,
        "in_run": _in_run,
        "heading": lambda key: key.replace("_", " "),
    }
    return environment


def _csv(records: Iterable[Mapping[str, Any]]) -> str:
    return pd.DataFrame(list(records)).to_csv(index=False, lineterminator="\n")


def _signed(value: Any, key: str) -> str:
    if value is None:
        return ABSENT
    return f"{value:+}" if key in SIGNED and isinstance(value, Decimal) else escape_markdown(str(value))


def _number(value: float | None, decimals: int) -> str:
    return ABSENT if value is None else f"{value:.{decimals}f}"


def _pair(pair: Pair, decimals: int) -> str:
    """``46.9 (64.1, -17.2)``: measured, published, difference."""
    if pair.published is None or pair.difference is None:
        return f"{pair.measured:.{decimals}f}"
    difference = round(pair.difference, decimals) + 0.0  # no negative zero
    return f"{pair.measured:.{decimals}f} ({pair.published:.{decimals}f}, {difference:+.{decimals}f})"


def _by_protocol(tables: Iterable[TableInPrint]) -> list[tuple[list[str], Sequence[str]]]:
    """Tables that differ from the paper in the same way, and how."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for table in tables:
        groups.setdefault(tuple(table.changes), []).append(table.number)
    return [(numbers, changes) for changes, numbers in groups.items()]


def _counts(judgements: Sequence[Judgement], measure: str) -> Counter[str]:
    return Counter(judgement.verdicts[measure].outcome.name for judgement in judgements)


def _in_print(judgement: Judgement) -> str:
    """The verdict on the published numbers."""
    verdict = judgement.verdicts[PUBLISHED]
    narrow = verdict.deciding is not None and abs(verdict.deciding.slack) < WHOLE
    return _verdict(verdict, 2, "‡" if narrow else "")


def _in_run(judgement: Judgement) -> str:
    """The verdicts on the run, as two cells of a table."""
    printed, off_diagonal = (
        _verdict(verdict, 1, "†" if verdict.one_seed else "")
        for verdict in (judgement.verdicts[PRINTED], judgement.verdicts[OFF_DIAGONAL])
    )
    return f"{printed} | {'same' if off_diagonal == printed else off_diagonal}"


def _verdict(verdict: ClaimVerdict, decimals: int, mark: str) -> str:
    """``holds, 7/7 (+2.0 ± 1.4, PGD)``."""
    deciding = verdict.deciding
    if deciding is None:
        return str(verdict.outcome)
    total = len(verdict.findings) + verdict.not_run
    margin = f" ± {deciding.difference.margin:.{decimals}f}" if deciding.difference.margin else ""
    name = f"**{verdict.outcome}**" if verdict.outcome is Outcome.FAILS else str(verdict.outcome)
    missing = f", {verdict.not_run} not run" if verdict.not_run else ""
    where = escape_markdown(_place(deciding.inequality, [finding.inequality for finding in verdict.findings]))
    return (
        f"{name}{mark}, {verdict.count(Outcome.HOLDS)}/{total}{missing} "
        f"({deciding.difference.mean:+.{decimals}f}{margin}, {where})"
    )


def _place(inequality: Inequality, among: Sequence[Inequality]) -> str:
    """Which of a claim's inequalities: its row, and the columns that differ between them."""
    parts = ["mean" if len(inequality.left.rows) > 1 else inequality.left.rows[0]]
    for side in ("left", "right"):
        term: Term = getattr(inequality, side)
        columns = {getattr(other, side).column for other in among}
        if len(columns) > 1 and (short := _short(term.column, columns)) not in parts:
            parts.append(short)
    return ", ".join(parts)


def _short(column: PrintedColumn, among: set[PrintedColumn]) -> str:
    """As much of a column's name as tells it from others."""
    alike = [other for other in among if other.defense == column.defense]
    if len(alike) == len(among):
        return column.param
    return column.defense if len(alike) == 1 else str(column)


def _cells(table: TableInPrint) -> list[dict[str, Any]]:
    return [
        {
            "table": table.number,
            "protocol": table.protocol,
            "row": row.label,
            "column": label,
            "published_row": row.published,
            "published_column": None if column is None else str(column),
            "measured": round(pair.measured, 6),
            "published": None if pair.published is None else round(pair.published, 6),
            "difference": None if pair.difference is None else round(pair.difference, 6),
        }
        for row in table.rows
        for label, column, pair in zip(table.labels, table.columns, row.pairs, strict=True)
    ]


def _verdicts(judgement: Judgement) -> list[dict[str, Any]]:
    return [
        {
            "claim": judgement.claim.sentence,
            "section": judgement.claim.section,
            "table": judgement.table,
            "numbers": name,
            "outcome": str(verdict.outcome),
            **{
                str(outcome).replace(" ", "_"): verdict.count(outcome)
                for outcome in Outcome
                if outcome is not Outcome.NOT_RUN
            },
            "not_run": verdict.not_run,
            "one_seed": verdict.one_seed,
            **(_difference(verdict.deciding) if verdict.deciding else {}),
        }
        for name, verdict in judgement.verdicts.items()
    ]


def _difference(finding: Finding) -> dict[str, Any]:
    inequality = finding.inequality
    return {
        "rows": " ".join(inequality.left.rows),
        "left": f"{inequality.left.table} {inequality.left.column}",
        "right": f"{inequality.right.table} {inequality.right.column}",
        "above": inequality.above if math.isfinite(inequality.above) else None,
        "below": inequality.below if math.isfinite(inequality.below) else None,
        "difference": round(finding.difference.mean, 6),
        "margin": round(finding.difference.margin, 6),
    }
