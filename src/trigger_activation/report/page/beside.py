"""What the paper prints in the place of a number, told only where the two may stand side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trigger_activation.parameters import grey_levels
from trigger_activation.plan.layouts import InPrint
from trigger_activation.report.published.comparison import Comparison, TableInPrint
from trigger_activation.report.published.wording import column_name

Beside = Mapping[tuple[str, str, str], str]
"""Name of a table, label of a row and full label of a column -> a sentence about the published cell."""


def beside(comparison: Comparison, papers: Mapping[str, Sequence[InPrint]]) -> Beside:
    """A sentence for each number that has a counterpart in print.

    Args:
        comparison: of the run with the published numbers.
        papers: name of a table -> what the paper has in its place.
    """
    return {
        (table.name, row.label, label): sentence
        for table in comparison.tables
        for row in table.rows
        for position, label in enumerate(table.labels)
        if (sentence := _sentence(table, papers[table.name][0], row.label, position))
    }


def _sentence(table: TableInPrint, paper: InPrint, row: str, position: int) -> str | None:
    column, label = table.columns[position], table.labels[position]
    if column is None:
        return None
    if not table.alike[position]:
        return f"Not compared: in the paper this column's role is filled by {column_name(column)}, another parameter."
    published = table.in_print(row, label)
    if published is None:
        return None
    where = f"Table {table.number}, {row}, {column_name(column)}"
    if table.changes:
        facts = paper.protocol
        return (
            f"In print ({where}; {facts.dataset}, {grey_levels(facts.eps)}): {published:.2f}. Data and networks "
            "differ: orders can be compared, magnitudes cannot."
        )
    (pair,) = (known.pairs[position] for known in table.rows if known.label == row)
    return f"In print ({where}): {published:.2f}; the difference is {pair.measured - published:+.2f} points."
