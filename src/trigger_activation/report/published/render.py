"""The audit and the comparison as Markdown and CSV."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from trigger_activation.plan.config.paper import Paper
from trigger_activation.plan.contents import Findings
from trigger_activation.report.published.check import Check
from trigger_activation.report.published.comparison import PUBLISHED, Comparison, Pair, TableInPrint
from trigger_activation.report.published.run import OFF_DIAGONAL, PRINTED
from trigger_activation.report.published.verdicts import WHOLE, ClaimVerdict, Finding, Judgement, Outcome
from trigger_activation.report.published.wording import Named, column_name, decided_by
from trigger_activation.report.tables.grid import escape_markdown
from trigger_activation.report.wording import listed

ABSENT = "–"
SIGNED = {"gap", "difference", "implied_white_box_accuracy"}
"""Keys of the audit whose values are printed with their sign."""


def render_audit(checks: Sequence[Check]) -> dict[str, str]:
    """The audit's files, by name."""
    records = [{"check": check.name, **record} for check in checks for record in check.records]
    return {"audit.md": _environment().get_template("audit.md.j2").render(checks=checks), "audit.csv": _csv(records)}


def render_comparison(comparison: Comparison, paper: Paper, findings: Findings) -> dict[str, str]:
    """The comparison's files, by name.

    Args:
        comparison: of the run with the published numbers.
        paper: whose numbers these are.
        findings: what the comparison comes to.
    """
    outcomes = [(judgement, judgement.verdicts[PRINTED].outcome) for judgement in comparison.judgements]
    text = (
        _environment()
        .get_template("comparison.md.j2")
        .render(
            comparison=comparison,
            paper=paper,
            findings=findings,
            groups=[(outcome, [j for j, found in outcomes if found is outcome]) for outcome in Outcome],
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
        "range": _range,
        "in_print": _in_print,
        "in_run": _in_run,
        "column": lambda column: escape_markdown(column_name(column)) if column else ABSENT,
        "anchor": _anchor,
        "heading": lambda key: key.replace("_", " "),
    }
    return environment


def _anchor(heading: str) -> str:
    """What Markdown viewers call a heading in links."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _csv(records: Iterable[Mapping[str, Any]]) -> str:
    return pd.DataFrame(list(records)).to_csv(index=False, lineterminator="\n")


def _signed(value: Any, key: str) -> str:
    if value is None:
        return ABSENT
    return f"{value:+}" if key in SIGNED and isinstance(value, Decimal) else escape_markdown(str(value))


def _number(value: float | None, decimals: int) -> str:
    return ABSENT if value is None else f"{value:.{decimals}f}"


def _range(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f" ({bounds[0]:.2f} to {bounds[1]:.2f})"


def _pair(pair: Pair, decimals: int) -> str:
    """``46.9 (64.10, -17.2)``: measured, published with the digits of the print, difference."""
    if pair.published is None or pair.difference is None:
        return f"{pair.measured:.{decimals}f}"
    difference = round(pair.difference, decimals) + 0.0  # no negative zero
    return f"{pair.measured:.{decimals}f} ({pair.published:.2f}, {difference:+.{decimals}f})"


def _in_print(judgement: Judgement) -> str:
    """The verdict on the published numbers, and what decided it."""
    verdict = judgement.verdicts[PUBLISHED]
    narrow = verdict.deciding is not None and abs(verdict.deciding.slack) < WHOLE
    return _verdict(verdict, 2, "‡" if narrow else "", lambda term: column_name(term.column))


def _in_run(judgement: Judgement, comparison: Comparison) -> str:
    """The verdicts on the run, as two cells of a table."""
    printed, apart = judgement.verdicts[PRINTED], judgement.verdicts[OFF_DIAGONAL]
    said = _verdict(printed, 1, "†" if printed.one_seed else "", comparison.name)
    return f"{said} | {apart.outcome}"


def _verdict(verdict: ClaimVerdict, decimals: int, mark: str, named: Named) -> str:
    """``supported, 7 of 7 (PGD: AT minus no defense is +2.0 ± 1.4, has to be above 0)``."""
    deciding = verdict.deciding
    if deciding is None:
        return str(verdict.outcome)
    total = len(verdict.findings) + verdict.not_run
    missing = f", {verdict.not_run} not tested" if verdict.not_run else ""
    counted = f"{verdict.count(Outcome.HOLDS)} of {total}{missing}"
    return f"**{verdict.outcome}**{mark}, {counted} ({escape_markdown(decided_by(deciding, decimals, named))})"


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
        "margin": round(finding.difference.margin(), 6) if finding.difference.known else None,
    }
