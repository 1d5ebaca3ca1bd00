"""Figures: pure functions from a layout and measured cells to a matplotlib figure and a caption."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from trigger_activation.report.figures import concept, flip, matrices, theory, tradeoff, triggers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cells = Sequence[dict[str, Any]]
KINDS: Mapping[str, Callable[[Mapping[str, Any], Cells], tuple[Figure, str]]] = {
    "flip": flip.build,
    "triggers": triggers.build,
    "concept": concept.build,
    "theory": theory.build,
    "matrices": matrices.build,
    "tradeoff": tradeoff.build,
}

DESCRIPTIONS: Mapping[str, Callable[[Mapping[str, Any], Cells], str]] = {
    "flip": flip.describe,
    "triggers": triggers.describe,
    "concept": concept.describe,
    "theory": theory.describe,
    "matrices": matrices.describe,
    "tradeoff": tradeoff.describe,
}
"""Kind of figure -> what those are told who cannot see it."""


def draw(layout: Mapping[str, Any], cells: Cells) -> tuple[Figure, str]:
    """A figure in the project's style, and its caption in Markdown."""
    style = resources.files("trigger_activation.report.figures").joinpath("paper.mplstyle")
    mpl.rcdefaults()
    with resources.as_file(style) as path:
        mpl.rcParams.update(mpl.rc_params_from_file(path, use_default_template=False))
    return KINDS[layout["kind"]](layout, cells)
