"""Verdicts and what decided them, in words that a reader of the paper knows."""

from __future__ import annotations

import math
from collections.abc import Callable

from trigger_activation.report.published.claims import Inequality, Term
from trigger_activation.report.published.numbers import PrintedColumn
from trigger_activation.report.published.verdicts import Finding

DEFENSES = {
    "none": "no defense",
    "jpeg": "JPEG",
    "bdr": "BDR",
    "gaussian": "Gaussian filter",
    "rp": "R&P",
    "nrp": "NRP",
    "diffpure": "DiffPure",
    "at_pgd": "AT",
    "rat_trades": "RAT",
    "tdat": "TDAT",
    "ours": "trigger",
    "ours_fixed": "fixed trigger",
    "ours_learnable": "learnable trigger",
}
"""Defense in published.csv -> what readers call it."""
SYMBOLS = {"eps_t": "εₜ", "eps": "ε", "alpha": "α", "sigma": "σ"}

METRICS = {"trigger_mse_1e-2": "mean square of the trigger in units of 0.01", "train_hours": "hours of training"}
"""Metric in published.csv -> what it is."""

Named = Callable[[Term], str]
"""What a side of a comparison is called."""


def column_name(column: PrintedColumn) -> str:
    """``fixed trigger εₜ = 64/255``, without the budget of adversarial training, which is that of the attack."""
    name = DEFENSES.get(column.defense, column.defense)
    symbol, _, value = column.param.partition("=")
    return name if not value or symbol == "eps" else f"{name} {SYMBOLS.get(symbol, symbol)} = {value}"


def row_name(term: Term) -> str:
    """The attack, or that it is the mean over all of them."""
    if len(term.rows) > 1:
        return "mean over attacks"
    metric, _, dataset = term.rows[0].partition(", ")
    return f"{METRICS[metric]}, {dataset}" if metric in METRICS else term.rows[0]


def decided_by(finding: Finding, decimals: int, named: Named) -> str:
    """``PGD: AT minus no defense is +5.1 ± 1.2, has to be above 0``.

    Args:
        finding: what decided.
        decimals: of the numbers.
        named: what the columns are called.
    """
    inequality, difference = finding.inequality, finding.difference
    margin = f" ± {difference.margin():.{decimals}f}" if difference.variance.value else ""
    if not difference.known:
        margin = " (one seed)"
    left, right = inequality.left, inequality.right
    names = f"{named(left)} minus {named(right)}"
    if left.table != right.table:
        names = f"{named(left)} (Table {left.table}) minus Table {right.table}"
    return f"{row_name(left)}: {names} is {difference.mean:+.{decimals}f}{margin}, has to be {needed(inequality)}"


def needed(inequality: Inequality) -> str:
    """The bounds of a difference."""
    above, below = inequality.above, inequality.below
    if math.isinf(below):
        return f"above {above:g}"
    return f"below {below:g}" if math.isinf(above) else f"between {above:g} and {below:g}"
