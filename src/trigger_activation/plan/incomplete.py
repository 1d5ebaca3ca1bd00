"""Tables of the cells that are there, for a run that allows some to be missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from trigger_activation.errors import UserError
from trigger_activation.plan.graph import Artifact, Plan


def without_missing(plan: Plan, table: Artifact, is_there: Callable[[str], bool]) -> Artifact:
    """The table as a job that needs no cell but those that are there, under a recipe of its own.

    Once the others are there the recipe is the table's again, so it is rendered anew.

    Raises:
        UserError: none of its cells is there.
    """
    cells = table.inputs["cells"]
    missing = [position for position, path in enumerate(cells) if not is_there(path)]
    if not missing:
        return table
    if len(missing) == len(cells):
        raise UserError(f"{table.path} has none of its {len(cells)} cells yet: run without allow_missing to make them")
    present = tuple(path for position, path in enumerate(cells) if position not in set(missing))
    changed = replace(
        table, parameters=table.parameters.model_copy(update={"missing": missing}), inputs={"cells": present}
    )
    return replace(changed, recipe=plan.recipe(changed))
