"""The few numbers of an experiment that fit one line of a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trigger_activation.plan.contents import Content
from trigger_activation.plan.layouts import AnyTableLayout
from trigger_activation.report.standings import ranked_tables, standings

BASELINES = {"none": "none", "at": "AT"}
"""Columns beside which the best trigger is told, and what they are called."""
OURS = "Ours"
"""What headings of columns of triggers begin with."""


def headline(layouts: Mapping[str, AnyTableLayout], contents: Mapping[str, Sequence[Content]]) -> dict[str, float]:
    """What no defense, adversarial training and the best trigger keep under attack, and the trigger of clean images.

    Args:
        layouts: of an experiment's tables, by name.
        contents: of their cells.

    Returns:
        Percentages of the widest table of the first data set, by name; nothing if no table ranks defenses.
    """
    for name, layout in layouts.items():
        if layout in ranked_tables(layouts.values())[:1]:
            ranked = standings(layout, contents[name], None)
            told = {BASELINES[each.column.name]: each.mean for each in ranked if each.column.name in BASELINES}
            triggers = [each for each in ranked if each.column.full.startswith(OURS)]
            if triggers:
                best = max(triggers, key=lambda each: each.mean.measured)
                told |= {"trigger": best.mean, "trigger clean": best.clean}
            return {key: round(score.measured, 2) for key, score in told.items()}
    return {}
