"""Cells that seem to have been made under other settings than their row or column says."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise, product

from trigger_activation.report.published.check import Check, Records
from trigger_activation.report.published.numbers import PrintedColumn, Published
from trigger_activation.report.wording import listed

UNDEFENDED = PrintedColumn("none")
AS_UNDEFENDED = Decimal("0.15")
"""Points that a defense without effect may be off, by rounding of images alone."""
AS_ANOTHER_ATTACK = Decimal("0.5")
"""Points that two rows may differ by and still be called the same attack."""


def settings_of_cells(published: Published, tables: Sequence[str]) -> list[Check]:
    """Checks of the tables that have clean and ``Mean`` rows."""
    return [_bit_depth(published, tables), _equal_attacks(published, tables), _purified(published, tables)]


def _bit_depth(published: Published, tables: Sequence[str]) -> Check:
    records: Records = []
    for table in tables:
        (column,) = published.columns(table, "bdr")
        for row in published.attacks(table):
            bare, reduced = published.value(table, row, UNDEFENDED), published.value(table, row, column)
            if bare is None or reduced is None:
                continue
            same = abs(reduced - bare) <= AS_UNDEFENDED
            points = {"undefended": bare, "reduced": reduced, "difference": reduced - bare}
            records.append({"table": table, "row": row, **points, "as_undefended": "yes" if same else "no"})
    alike, others = (list(dict.fromkeys(r["row"] for r in records if r["as_undefended"] == w)) for w in ("yes", "no"))
    changes = [record["difference"] for record in records if record["as_undefended"] == "no"]
    always = "no attack is on both sides" if not set(alike) & set(others) else "some attacks are on both sides"
    return Check(
        "bit_depth",
        "Bit-depth reduction with and without effect",
        f"Against {listed(alike)}, bit-depth reduction equals no defense within {AS_UNDEFENDED} points; against "
        f"{listed(others)} it does not: the column seems to mix two settings.",
        f"Bit-depth reduction changes the accuracy under {listed(others)} by {min(changes)} to {max(changes)} points "
        f"and under the other attacks by at most {AS_UNDEFENDED}; over Tables {listed(tables)} {always}. Reduction to "
        "few bits changes nearly every image, so the cells that equal those without a defense were probably made with "
        "all eight.",
        records,
    )


def _equal_attacks(published: Published, tables: Sequence[str]) -> Check:
    records: Records = []
    for table in (table for table in tables if "GRA" in published.attacks(table)):
        for column in published.columns(table):
            values = [published.value(table, row, column) for row in ("MI-FGSM", "GRA")]
            if None in values:
                continue
            momentum, relevance = (value for value in values if value is not None)
            same = abs(relevance - momentum) <= AS_ANOTHER_ATTACK
            points = {"MI-FGSM": momentum, "GRA": relevance, "difference": relevance - momentum}
            records.append({"table": table, "column": str(column), **points, "equal": "yes" if same else "no"})
    others = [record["column"] for record in records if record["equal"] == "no"]
    return Check(
        "equal_attacks",
        "GRA and MI-FGSM",
        f"GRA leaves what MI-FGSM leaves, within {AS_ANOTHER_ATTACK} points, in {len(records) - len(others)} of "
        f"{len(records)} columns of Table {listed(list(dict.fromkeys(record['table'] for record in records)))}.",
        f"The columns where they differ by more are {listed(others)}. GRA extends MI-FGSM with gradients around each "
        "image and transfers better in its authors' measurements, so the attack may be stronger than its row here.",
        records,
    )


def _purified(published: Published, tables: Sequence[str]) -> Check:
    records: Records = []
    for table in tables:
        (column,) = published.columns(table, "diffpure")
        left = {row: value for row in published.attacks(table) if (value := published.value(table, row, column))}
        lower, gap = _below_widest_gap(left)
        for row, value in left.items():
            bare = published.value(table, row, UNDEFENDED)
            apart = "yes" if row in lower else "no"
            records.append(
                {"table": table, "row": row, "undefended": bare, "purified": value, "apart": apart, "widest_gap": gap}
            )
    widest = max(records, key=lambda record: record["widest_gap"])
    low, rest = ([r for r in records if r["table"] == widest["table"] and r["apart"] == w] for w in ("yes", "no"))
    (first, second) = min(product(low, rest), key=lambda pair: abs(pair[0]["undefended"] - pair[1]["undefended"]))
    others = max(record["widest_gap"] for record in records if record["table"] != widest["table"])
    return Check(
        "purified",
        "DiffPure against some attacks",
        f"In Table {widest['table']} DiffPure keeps {_span(low)} under {listed([r['row'] for r in low])} and "
        f"{_span(rest)} under the other attacks; in the other tables no such group stands apart.",
        "In each table attacks are split where the values of DiffPure have their widest gap, which is "
        f"{widest['widest_gap']} points in Table {widest['table']} and at most {others} in the others. Without a "
        f"defense {first['row']} leaves {first['undefended']} and {second['row']} {second['undefended']} there, with "
        f"DiffPure {first['purified']} and {second['purified']}, so the strength of attacks alone does not explain it. "
        "Where the paper finds DiffPure weak against these attacks, it rests on these cells.",
        records,
    )


def _span(records: Records) -> str:
    values = [record["purified"] for record in records]
    return f"{min(values)} to {max(values)}"


def _below_widest_gap(left: dict[str, Decimal]) -> tuple[list[str], Decimal]:
    """The rows whose values lie below the widest gap between neighbours, and that gap."""
    order = sorted(left, key=left.__getitem__)
    gaps = [left[high] - left[low] for low, high in pairwise(order)]
    return order[: gaps.index(max(gaps)) + 1], max(gaps)
