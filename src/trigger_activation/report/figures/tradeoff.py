"""Clean against robust accuracy of all defenses of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from trigger_activation.plan.contents import Cell
from trigger_activation.plan.layouts import AccuracyLayout, TradeoffLayout
from trigger_activation.report.figures._captions import PAGE, caption, rows_of, table_facts
from trigger_activation.report.figures._labels import Point, place
from trigger_activation.report.tables.accuracy import PAIRS, SURROGATES, statistics
from trigger_activation.report.wording import listed
from trigger_activation.science.evaluation.contrast import estimated, over_images
from trigger_activation.science.evaluation.results import PairMean, mean_over

Style = tuple[str, str]
"""Colour and marker."""
STYLES = (("#000000", "X"), ("#009E73", "s"), ("#D55E00", "^"), ("#0072B2", "o"), ("#CC79A7", "D"), ("#E69F00", "v"))
"""Of the families, in the order in which the table shows them."""
SPREADS = {"seeds": (3.0, 0.25), "interval": (0.7, 1.0)}
"""What bars show, and their width and opacity."""


@dataclass(frozen=True)
class Estimate:
    """An accuracy in percent."""

    mean: float
    margin: float
    """Half the 95 % interval."""
    deviation: float
    """Sample standard deviation over seeds; 0 for a single seed."""

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, over seeds and images, of a single seed over images alone; as far as accuracies go."""
        return max(0.0, self.mean - self.margin), min(100.0, self.mean + self.margin)

    @property
    def seeds(self) -> tuple[float, float]:
        """One standard deviation to either side."""
        return self.mean - self.deviation, self.mean + self.deviation


@dataclass(frozen=True)
class Defense:
    """One point of a panel."""

    label: str
    clean: Estimate
    robust: Estimate
    style: Style

    @property
    def point(self) -> Point:
        """Where its marker is."""
        return self.clean.mean, self.robust.mean

    def bars(self, spread: str) -> list[tuple[Point, Point]]:
        """The ends of a horizontal and a vertical bar."""
        (left, right), (low, high) = getattr(self.clean, spread), getattr(self.robust, spread)
        x, y = self.point
        return [((left, y), (right, y)), ((x, low), (x, high))]


def estimated_by_bars(mean: PairMean) -> Estimate:
    """A mean with what its bars show."""
    found = estimated(mean) if len(mean.scores) > 1 else over_images(mean)
    return Estimate(mean.mean, found.margin(), mean.standard_deviation or 0.0)


def under_strongest_attack(means: Sequence[PairMean]) -> PairMean:
    """The cell of the attack that lowers the accuracy most."""
    return min(means, key=lambda each: each.mean)


def build(layout: TradeoffLayout, cells: Sequence[Cell]) -> tuple[Figure, str]:
    """Two panels over clean accuracy: the mean over all attacks, and the attack that hurts each defense most."""
    table = layout.table
    styles = dict(zip(dict.fromkeys(layout.families), cycle(STYLES), strict=False))
    chosen = [styles[family] for family in layout.families]
    figure = Figure(figsize=(PAGE, 3.4))
    mean, worst = figure.subplots(1, 2, sharex=True, sharey=True)
    panels = {
        mean: _defenses(table, cells, chosen, mean_over),
        worst: _defenses(table, cells, chosen, under_strongest_attack),
    }
    for axes, defenses in panels.items():
        axes.set_xlabel("clean accuracy (%)")
        for defense in defenses:
            _draw(axes, defense)
    mean.set(ylabel="accuracy under attack (%)", title="mean over attacks")
    worst.set(title="strongest attack on each defense")
    keys = [_key(family, *style) for family, style in styles.items()]
    figure.legend(handles=keys, loc="outside upper center", ncols=len(keys))
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, defenses in panels.items():
        bars = [bar for defense in defenses for spread in SPREADS for bar in defense.bars(spread)]
        place(axes, [defense.point for defense in defenses], [defense.label for defense in defenses], bars)
    return figure, caption(layout, _sentences(table, cells))


def describe(layout: TradeoffLayout, cells: Sequence[Cell]) -> str:
    """The coordinates of every defense, for those who cannot see the figure."""
    table = layout.table
    defenses = _defenses(table, cells, [STYLES[0]] * len(table.columns), mean_over)
    points = listed([f"{d.label} {d.clean.mean:.0f} % and {d.robust.mean:.0f} %" for d in defenses])
    return (
        f"Two scatter plots of clean accuracy and accuracy under attack. At the left, the mean over attacks: {points}."
    )


def _defenses(
    table: AccuracyLayout,
    cells: Sequence[Cell],
    styles: Sequence[Style],
    summary: Callable[[Sequence[PairMean]], PairMean],
) -> list[Defense]:
    """The table's columns, their rows of attacks summarised."""
    rows = [[statistics(table, cell) for cell in row] for row in rows_of(table, cells)]
    clean, *attacked = rows
    kept = map(estimated_by_bars, clean)
    withstood = (estimated_by_bars(summary(means)) for means in zip(*attacked, strict=True))
    return [
        Defense(column.label, *each)
        for column, each in zip(table.columns, zip(kept, withstood, styles, strict=True), strict=True)
    ]


def _draw(axes: Axes, defense: Defense) -> None:
    colour, marker = defense.style
    for spread, (width, alpha) in SPREADS.items():
        for ends in defense.bars(spread):
            axes.plot(*zip(*ends, strict=True), color=colour, linewidth=width, alpha=alpha, solid_capstyle="butt")
    axes.plot(*defense.point, marker, color=colour, markersize=5, markeredgecolor="white", markeredgewidth=0.4)


def _key(family: str, colour: str, marker: str) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, markersize=5, linestyle="", label=family)


def _over(table: AccuracyLayout) -> str:
    several = any(column.seeds > 1 for column in table.columns)
    return "seeds and test images, of a column of one seed over test images alone" if several else "test images"


def _sentences(table: AccuracyLayout, cells: Sequence[Cell]) -> list[str]:
    attacks = [row.label for row in table.rows[1:]]
    return [
        f"Defenses of Table {table.number}; at the left the mean over {listed(attacks)}, at the right whichever of "
        "these lowers a defense's accuracy most.",
        *table_facts(table, cells[0].images, "Wide bars are a standard deviation over seeds to either side"),
        f"Thin bars are 95 % intervals over {_over(table)}.",
        f"Accuracy under attack is the mean over {PAIRS[table.pairs]}; {SURROGATES[table.surrogates]}.",
    ]
