"""Figures: pure functions from a layout and measured cells to a matplotlib figure and a caption."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, TypeVar

import matplotlib as mpl

from trigger_activation.plan.contents import Cell, ConceptStudy, Content, FlipStudy, TheoryStudy, TriggerStudy
from trigger_activation.plan.layouts import (
    AnyFigureLayout,
    ConceptLayout,
    FlipLayout,
    Layout,
    MatricesLayout,
    TheoryLayout,
    TradeoffLayout,
    TriggersLayout,
)
from trigger_activation.report.figures import concept, flip, matrices, theory, tradeoff, triggers
from trigger_activation.report.narrowing import narrowed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

L = TypeVar("L", bound=Layout)
C = TypeVar("C", bound=Content)
R = TypeVar("R")
Of = Callable[[AnyFigureLayout, Sequence[Content]], R]
"""What takes the layout of any figure, and the contents that it is drawn from."""


def _of(layouts: type[L], contents: type[C], function: Callable[[L, Sequence[C]], R]) -> Of[R]:
    """What takes the layouts and contents of one kind of figure, for a mapping of all kinds."""

    def narrowing(layout: AnyFigureLayout, cells: Sequence[Content]) -> R:
        (known,) = narrowed([layout], layouts)
        return function(known, narrowed(cells, contents))

    return narrowing


DRAWINGS: Mapping[str, Of[tuple[Figure, str]]] = {
    "flip": _of(FlipLayout, FlipStudy, flip.build),
    "triggers": _of(TriggersLayout, TriggerStudy, triggers.build),
    "concept": _of(ConceptLayout, ConceptStudy, concept.build),
    "theory": _of(TheoryLayout, TheoryStudy, theory.build),
    "matrices": _of(MatricesLayout, Cell, matrices.build),
    "tradeoff": _of(TradeoffLayout, Cell, tradeoff.build),
}

DESCRIPTIONS: Mapping[str, Of[str]] = {
    "flip": _of(FlipLayout, FlipStudy, flip.describe),
    "triggers": _of(TriggersLayout, TriggerStudy, triggers.describe),
    "concept": _of(ConceptLayout, ConceptStudy, concept.describe),
    "theory": _of(TheoryLayout, TheoryStudy, theory.describe),
    "matrices": _of(MatricesLayout, Cell, matrices.describe),
    "tradeoff": _of(TradeoffLayout, Cell, tradeoff.describe),
}
"""Kind of figure -> what those are told who cannot see it."""


def draw(layout: AnyFigureLayout, cells: Sequence[Content]) -> tuple[Figure, str]:
    """A figure in the project's style, and its caption in Markdown."""
    style = resources.files("trigger_activation.report.figures").joinpath("paper.mplstyle")
    mpl.rcdefaults()
    with resources.as_file(style) as path:
        mpl.rcParams.update(mpl.rc_params_from_file(path, use_default_template=False))
    return DRAWINGS[layout.kind](layout, cells)
