"""The order of tables and figures in reports."""

from __future__ import annotations

import re

PAPER = (
    *("figure1", "table1", "figure2", "table2", "table3", "table4", "table5", "table6", "table7", "table8"),
    *("figure3", "table9", "table10", "table11"),
)
"""As the paper shows them."""


def in_print(name: str) -> tuple[int, list[str | int]]:
    """A key that sorts the paper's tables and figures as the paper does, and then the others by name.

    Args:
        name: of a table's or a figure's file in config.
    """
    place = PAPER.index(name) if name in PAPER else len(PAPER)
    return place, natural(name)


def natural(name: str) -> list[str | int]:
    """A key that sorts ``table2`` before ``table10``."""
    return [int(part) if part.isdigit() else part for part in re.split("([0-9]+)", name)]
