"""The arithmetic of the published numbers, checked against itself: no measurement enters here.

Values are exact decimals, so a sum of printed cells is the sum of what is printed.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from itertools import permutations
from typing import Any

from trigger_activation.report.published.check import Check, Records
from trigger_activation.report.published.numbers import CLEAN, MEAN, Number, PrintedColumn, Published
from trigger_activation.report.published.settings import settings_of_cells
from trigger_activation.report.wording import listed

CENT = Decimal("0.01")
"""The last printed digit."""


def audit(published: Published, characteristics: str) -> list[Check]:
    """All checks.

    Args:
        published: the numbers of all tables.
        characteristics: the text of ``table6.csv``, the words of Table VI.
    """
    standard, adaptive = tables_with_means(published, clean=True), tables_with_means(published, clean=False)
    return [
        _mean_rows(published, standard),
        _adaptive_means(published, adaptive),
        _missing_cells(published, standard),
        _ranks_of_means(published, standard),
        _white_box_share(published, standard, adaptive),
        *settings_of_cells(published, standard),
        _disagreements(published, [*standard, *tables_without_means(published)]),
        _marks(published),
        _words(published, standard, list(csv.DictReader(io.StringIO(characteristics)))),
    ]


def tables_with_means(published: Published, clean: bool) -> list[str]:
    """Tables with a ``Mean`` row, those with or those without a ``Clean`` row, which have adaptive attackers."""
    return [t for t in published.tables if MEAN in published.rows(t) and (CLEAN in published.rows(t)) == clean]


def tables_without_means(published: Published) -> list[str]:
    """Tables of accuracies that have no ``Mean`` row."""
    return [t for t in published.tables if MEAN not in published.rows(t) and CLEAN in published.rows(t)]


def cells(published: Published, table: str, column: PrintedColumn) -> list[Decimal]:
    """The legible cells of a column, attacks only."""
    values = [published.value(table, row, column) for row in published.attacks(table)]
    return [value for value in values if value is not None]


def recomputed_mean(published: Published, table: str, column: PrintedColumn) -> Decimal | None:
    """The mean of the printed cells; None where one is illegible."""
    values = cells(published, table, column)
    complete = len(values) == len(published.attacks(table))
    return sum(values, Decimal()) / len(values) if complete else None


def _mean_record(published: Published, table: str, column: PrintedColumn) -> dict[str, Any]:
    count = len(published.attacks(table))
    printed, recomputed = published.value(table, MEAN, column), recomputed_mean(published, table, column)
    gap = None if printed is None or recomputed is None else (count * (printed - recomputed)).quantize(CENT)
    return {
        "table": table,
        "column": str(column),
        "cells": count,
        "recomputed": recomputed and recomputed.quantize(CENT / 10),
        "printed": printed,
        "gap": gap,
        "explained_by": _explanation(printed, recomputed, gap, count),
    }


def _explanation(printed: Decimal | None, recomputed: Decimal | None, gap: Decimal | None, count: int) -> str:
    if printed is None or recomputed is None or gap is None:
        return "mean illegible" if printed is None else "a cell illegible"
    if recomputed.quantize(CENT, ROUND_HALF_UP) == printed:
        return "rounding"
    if recomputed.quantize(CENT, ROUND_DOWN) == printed:
        return "truncation"
    whole = gap.to_integral_value()
    if abs(gap - whole) > count * CENT:
        return "neither"
    return "rounding of the cells" if whole == 0 else "whole number"


def _mean_rows(published: Published, tables: Sequence[str]) -> Check:
    records = [_mean_record(published, table, column) for table in tables for column in published.columns(table)]
    found = Counter(record["explained_by"] for record in records)
    complete = len(records) - found["a cell illegible"]
    sizes = sorted({record["cells"] for record in records})
    return Check(
        "mean_rows",
        f"Mean rows of Tables {', '.join(tables)}",
        f"Of {complete} printed means of Tables {listed(tables)}, {found['whole number']} imply a sum of their cells "
        "that is off by a whole number, more than rounding explains: single printed cells are good to ±1.",
        "The gap is n times the printed mean minus the sum of the n printed cells. Rounding of cells and mean explains "
        f"a gap of up to n/100, that is {' or '.join(str(n * CENT) for n in sizes)}. Of {complete} complete columns, "
        f"{found['whole number']} have a gap that is within rounding of a whole number other than zero, "
        f"{found['neither']} another gap, and {complete - found['whole number'] - found['neither']} none. By chance, "
        f"{' or '.join(f'{200 * n * CENT:.0f} %' for n in sizes)} would come so near a whole number. Either cells or "
        "means were changed by whole numbers after the means were taken, so single cells are no target finer than ±1.",
        records,
    )


def _adaptive_means(published: Published, tables: Sequence[str]) -> Check:
    records = [_mean_record(published, table, column) for table in tables for column in published.columns(table)]
    found = Counter(record["explained_by"] for record in records)
    legible = len(records) - found["mean illegible"]
    return Check(
        "adaptive_means",
        f"Mean rows of Tables {', '.join(tables)}",
        f"Of {legible} legible means of Tables {listed(tables)}, {found['rounding'] + found['truncation']} are the "
        "rounded or truncated means of their cells.",
        f"The same for adaptive attackers: of {legible} legible means, {found['rounding']} are rounded and "
        f"{found['truncation']} truncated means of their cells, {found['whole number'] + found['neither']} are "
        "something else. Recomputed means replace the illegible ones below.",
        records,
    )


def _missing_cells(published: Published, tables: Sequence[str]) -> Check:
    records = []
    for table in tables:
        for column in published.columns(table):
            lost = [row for row in published.attacks(table) if published.value(table, row, column) is None]
            printed = published.value(table, MEAN, column)
            if len(lost) == 1 and printed is not None:
                implied = len(published.attacks(table)) * printed - sum(cells(published, table, column))
                records.append({"table": table, "row": lost[0], "column": str(column), "implied": implied})
    return Check(
        "missing_cells",
        "Illegible cells",
        f"What means say of the cells of Tables {listed(tables)} that cannot be read, up to whole numbers: "
        f"{listed([str(record['implied']) for record in records]) or 'nothing'}.",
        "What an illegible cell was if the printed mean is the mean of the column. Gaps like those above would go into "
        "this one cell whole, so its units are uncertain.",
        records,
    )


def _ranks_of_means(published: Published, tables: Sequence[str]) -> Check:
    records: Records = []
    for table in tables:
        printed = {str(c): value for c in published.columns(table) if (value := published.value(table, MEAN, c))}
        recomputed = {str(c): recomputed_mean(published, table, c) or printed[str(c)] for c in published.columns(table)}
        order, again = (sorted(means, key=means.__getitem__, reverse=True) for means in (printed, recomputed))
        records += [
            {
                "table": table,
                "place": place + 1,
                "by_printed_mean": f"{order[place]} ({printed[order[place]]})",
                "by_recomputed_mean": f"{again[place]} ({recomputed[again[place]].quantize(CENT, ROUND_HALF_UP)})",
                "flips": "yes" if order[place] != again[place] else "no",
            }
            for place in (0, 1)
        ]
    flips = sum(record["flips"] == "yes" for record in records)
    return Check(
        "ranks_of_means",
        "First and second place in the mean",
        f"Of {len(records)} first and second places in the mean, {flips} go to another defense if the means are taken "
        "of the printed cells.",
        "Who comes first and second by the printed means, and by the means of the printed cells. A column with an "
        "illegible cell keeps its printed mean.",
        records,
    )


def _networks(published: Published, dataset: str) -> int:
    """How many networks the paper uses on a data set: Table XI names them."""
    return len({n.network for n in published.of("XI") if n.dataset == dataset and n.column.defense == "ours_learnable"})


def _white_box_share(published: Published, standard: Sequence[str], adaptive: Sequence[str]) -> Check:
    undefended = PrintedColumn("none")
    records: Records = []
    for other in adaptive:
        (table,) = (t for t in standard if published.dataset(t) == published.dataset(other))
        networks = _networks(published, published.dataset(table))
        for row in published.attacks(other):
            every, rest = published.value(table, row, undefended), published.value(other, row, undefended)
            if every is None or rest is None:
                continue
            records.append(
                {
                    "tables": f"{other} / {table}",
                    "row": row,
                    "ratio": (rest / every).quantize(CENT / 10),
                    "expected": (Decimal(networks) / (networks - 1)).quantize(CENT / 10),
                    "implied_white_box_accuracy": networks * every - (networks - 1) * rest,
                }
            )
    impossible = sum(record["implied_white_box_accuracy"] < 0 for record in records)
    return Check(
        "white_box_share",
        "The undefended column under two protocols",
        f"The adaptive tables seem to leave out pairs of one architecture: {len(records) - impossible} of "
        f"{len(records)} rows without defense agree with that, {impossible} would need a negative accuracy.",
        "Without defense, the adaptive tables and the others evaluate the same attack on the same networks, but the "
        "adaptive ones print more. If they leave out the n pairs of n² in which a network is attacked on itself, and "
        "such pairs have an accuracy near zero, the ratio is n/(n−1). Solving for those pairs gives the accuracy in "
        "the last column, which cannot be negative.",
        records,
    )


def _disagreements(published: Published, tables: Sequence[str]) -> Check:
    places: dict[tuple[str, str, PrintedColumn], list[Number]] = {}
    for number in published.numbers:
        if number.table in tables and number.row != MEAN and number.value is not None:
            places.setdefault((number.dataset, number.row, number.column), []).append(number)
    shared = {place: numbers for place, numbers in places.items() if len(numbers) > 1}
    differing = [numbers for numbers in shared.values() if len({number.value for number in numbers}) > 1]
    return Check(
        "disagreements",
        "One quantity in two tables",
        f"{len(differing)} of {len(shared)} quantities that are printed in two tables differ between them.",
        f"{len(shared)} quantities (data set, attack, defense, parameter, all pairs) are printed in more than one "
        f"table; {len(differing)} of them differ. Beside each value stand the other cells of that data set which hold "
        "the same value: a hint at where it came from.",
        [
            {
                "dataset": number.dataset,
                "row": number.row,
                "column": str(number.column),
                "table": number.table,
                "printed": number.value,
                "same_value_in": "; ".join(_elsewhere(places, number)),
            }
            for numbers in differing
            for number in numbers
        ],
    )


def _elsewhere(places: dict[tuple[str, str, PrintedColumn], list[Number]], wanted: Number) -> list[str]:
    return [
        f"{number.table}, {number.row}, {number.column}"
        for numbers in places.values()
        for number in numbers
        if number.dataset == wanted.dataset and number.value == wanted.value and number is not wanted
    ]


def _marks(published: Published) -> Check:
    records: Records = []
    rows = 0
    for table in published.tables:
        if not any(number.mark == "second" for number in published.of(table)):
            continue
        for row in published.rows(table):
            rows += 1
            records += _marks_of_row(table, row, [n for n in published.of(table) if n.row == row])
    wrong = sum(record["underlined"] != "nothing" for record in records)
    return Check(
        "marks",
        "Underlines that are not second",
        f"{wrong} underlined cells in {rows} rows are not the second best of their row.",
        f"In the {rows} rows of tables that underline the second best, {wrong} underlined cells are not second among "
        f"the legible cells, and {len(records) - wrong} rows have no underline at all. Where a row has an illegible "
        "cell, which may have been the best, the true ranks may be one lower.",
        records,
    )


def _marks_of_row(table: str, row: str, numbers: Sequence[Number]) -> Records:
    legible = [number for number in numbers if number.value is not None]
    values = sorted((number.value for number in legible if number.value is not None), reverse=True)
    (second,) = [number for number in legible if number.value == values[1]][:1]
    common = {"table": table, "row": row}
    truth = {"second": f"{second.column} ({second.value})", "illegible_cells": len(numbers) - len(legible)}
    underlined = [number for number in legible if number.mark == "second"]
    if not underlined:
        return [{**common, "underlined": "nothing", "rank": None, **truth}]
    return [
        {**common, "underlined": f"{n.column} ({n.value})", "rank": values.index(n.value) + 1, **truth}
        for n in underlined
        if n.value is not None and n.value != values[1]
    ]


ORDER = {"Low": 0, "Medium": 1, "High": 2}
DEFENSES_OF_TABLE_VI = {
    "JPEG": "jpeg",
    "NRP": "nrp",
    "DiffPure": "diffpure",
    "AT": "at_pgd",
    "Ours (l)": "ours_learnable",
}


def _words(published: Published, tables: Sequence[str], rows: Sequence[dict[str, str]]) -> Check:
    quantities: dict[str, Callable[[str, PrintedColumn], Decimal | None]] = {
        "Acc. drop on clean inputs": lambda table, column: _drop(published, table, column),
        "Acc. on TAEs": lambda table, column: published.value(table, MEAN, column),
    }
    records: Records = []
    for row in rows:
        if quantity := quantities.get(row["characteristic"]):
            for table in tables:
                ranges = {name: _range(published, table, d, quantity) for name, d in DEFENSES_OF_TABLE_VI.items()}
                records += _contradictions(row, published.dataset(table), ranges)
    return Check(
        "words",
        "The words of Table VI and the numbers",
        f"{len(records)} gradings of Table VI stand the other way round than the numbers.",
        "Table VI grades defenses as low, medium and high. These pairs are graded one way, and the numbers (points of "
        "clean accuracy lost; printed means) stand the other way round, whichever quality of JPEG is taken.",
        records,
    )


def _drop(published: Published, table: str, column: PrintedColumn) -> Decimal | None:
    before, after = published.value(table, CLEAN, PrintedColumn("none")), published.value(table, CLEAN, column)
    return None if before is None or after is None else before - after


def _range(
    published: Published, table: str, defense: str, quantity: Callable[[str, PrintedColumn], Decimal | None]
) -> tuple[Decimal, Decimal]:
    """Smallest and largest value over the columns of one defense."""
    values = [v for column in published.columns(table, defense) if (v := quantity(table, column)) is not None]
    return min(values), max(values)


def _contradictions(row: dict[str, str], dataset: str, ranges: dict[str, tuple[Decimal, Decimal]]) -> Records:
    return [
        {
            "characteristic": row["characteristic"],
            "dataset": dataset,
            "graded_lower": f"{low}: {row[low]} ({_between(ranges[low])})",
            "graded_higher": f"{high}: {row[high]} ({_between(ranges[high])})",
        }
        for low, high in permutations(ranges, 2)
        if ORDER[row[low]] < ORDER[row[high]] and ranges[low][0] > ranges[high][1]
    ]


def _between(limits: tuple[Decimal, Decimal]) -> str:
    low, high = limits
    return f"{low}" if low == high else f"{low} to {high}"
