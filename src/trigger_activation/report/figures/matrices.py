"""The accuracy of every victim on every surrogate's images, for all cells of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from trigger_activation.plan.contents import Cell
from trigger_activation.plan.layouts import AccuracyLayout, MatricesLayout, ShownColumn
from trigger_activation.report.figures._captions import PAGE, SMALL, caption, rows_of, table_facts, text_width, wrapped
from trigger_activation.report.tables.accuracy import SURROGATES
from trigger_activation.report.wording import listed

GAP = 0.5
"""Space between matrices, in entries."""
WIDEST_ENTRY = 0.25
"""Inches of one entry at most."""
LEGIBLE_VALUE, LEGIBLE_NAME = 0.16, 0.09
"""Inches that an entry must be wide for its value to be printed, and for its victim's name below it."""
LABELS = 1.15, 1.35
"""Inches for labels beside the matrices, and above and below them, roughly: the layout engine solves for the rest."""
PAD = 3.0
"""Points of the space around text."""
ACCURACY = Normalize(0, 100)
COLOURS = "viridis"

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Arrangement:
    """Where the matrices lie, in entries from the upper left."""

    left: list[float]
    """Of each column of matrices, and of one more."""
    upper: list[float]
    """Of each row of matrices, and of one more."""

    @property
    def entry_width(self) -> float:
        """In inches."""
        return min(WIDEST_ENTRY, (PAGE - LABELS[0]) / self.left[-1])

    @property
    def prints_values(self) -> bool:
        """Whether they are legible."""
        return self.entry_width >= LEGIBLE_VALUE

    @property
    def height(self) -> float:
        """Of all matrices in inches; high enough for the surrogates' names."""
        return self.upper[-1] * (0.115 if self.prints_values else 0.105)

    @property
    def size(self) -> tuple[float, float]:
        """Of the figure in inches."""
        return LABELS[0] + self.entry_width * self.left[-1], LABELS[1] + self.height


def build(layout: MatricesLayout, cells: Sequence[Cell]) -> tuple[Figure, str]:
    """One matrix per cell, laid out as the table is; the rows of a matrix are surrogates, its columns victims."""
    table = layout.table
    rows = [[matrix(cell) for cell in row] for row in rows_of(table, cells)]
    sheet = Arrangement(_edges([m.shape[1] for m in rows[0]]), _edges([row[0].shape[0] for row in rows]))
    figure = Figure(figsize=sheet.size, dpi=rcParams["savefig.dpi"])  # Hinted text is as wide as its pixels let it.
    axes = figure.add_subplot(xlim=(0, sheet.left[-1] - GAP), ylim=(sheet.upper[-1] - GAP, 0))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=PAD)
    for y, row in zip(sheet.upper, rows, strict=False):
        for x, entries in zip(sheet.left, row, strict=False):
            _draw(axes, x, y, entries, sheet.prints_values)
    axes.set_yticks(_centres(sheet.upper), [row.label for row in table.rows])
    _name_columns(axes, table.columns, sheet)
    _name_networks(axes, table.protocol.networks, cells[-1], sheet)
    _colour_bar(axes, sheet)
    return figure, caption(layout, _sentences(table, cells))


def describe(layout: MatricesLayout, cells: Sequence[Cell]) -> str:
    """The size of the grid and the extremes in it, for those who cannot see the figure."""
    table = layout.table
    accuracies = [100 * n / cell.images for cell in cells for n in np.ravel(cell.correct)]
    return (
        f"A grid of heat maps, {len(table.rows)} rows of attacks by {len(table.columns)} columns of defenses; "
        f"each shows victims by surrogates. Accuracies go from {min(accuracies):.0f} % to {max(accuracies):.0f} %."
    )


def matrix(cell: Cell) -> Matrix:
    """Accuracy in percent (surrogates, victims), the mean over seeds; clean images are a single row."""
    percent: Matrix = 100 * np.mean(cell.correct, axis=0).T / cell.images
    return percent


def _edges(sizes: Sequence[int]) -> list[float]:
    """Where each of some adjacent matrices starts, and where one more would."""
    return list(accumulate((size + GAP for size in sizes), initial=0.0))


def _centres(edges: Sequence[float]) -> list[float]:
    return [(start + end - GAP) / 2 for start, end in pairwise(edges)]


def _draw(axes: Axes, x: float, y: float, entries: Matrix, print_values: bool) -> None:
    height, width = entries.shape
    across, down = x + np.arange(width + 1), y + np.arange(height + 1)
    axes.pcolormesh(across, down, entries, cmap=COLOURS, norm=ACCURACY, edgecolor="white", linewidth=0.4)
    if not print_values:
        return
    for (row, column), value in np.ndenumerate(entries):
        colour = "white" if value < 50 else "black"
        centre = x + column + 0.5, y + row + 0.5
        axes.text(*centre, f"{value:.0f}", size=SMALL, color=colour, ha="center", va="center_baseline")


def _name_columns(axes: Axes, columns: Sequence[ShownColumn], sheet: Arrangement) -> None:
    """Defenses above their matrices, upright where they are too wide for them; above those their groups."""
    width = 72 * sheet.entry_width * min(np.diff(sheet.left)) - PAD
    labels = [wrapped(column.label, width) for column in columns]
    if all(text_width(line) <= width for lines in labels for line in lines):
        rotation = 0
    else:
        labels = [[column.label] for column in columns]
        rotation = 90
    axes.xaxis.tick_top()
    axes.set_xticks(_centres(sheet.left), ["\n".join(lines) for lines in labels], size=SMALL, rotation=rotation)
    height = max(label.get_window_extent().height for label in axes.get_xticklabels()) * 72 / axes.figure.dpi
    above = axes.get_xaxis_transform() + ScaledTranslation(0, (height + 2 * PAD) / 72, axes.figure.dpi_scale_trans)
    for group, members in groupby(range(len(columns)), key=lambda position: columns[position].group):
        positions = list(members)
        if group:
            ends = sheet.left[positions[0]], sheet.left[positions[-1] + 1] - GAP
            axes.plot(ends, (1, 1), transform=above, clip_on=False, color="0.3", linewidth=0.6)
            middle = sum(ends) / 2
            axes.annotate(group, (middle, 1), (0, PAD / 2), above, "offset points", size=SMALL, ha="center")


def _name_networks(axes: Axes, names: Mapping[str, str], cell: Cell, sheet: Arrangement) -> None:
    """Surrogates and, where there is room, victims beside the last matrix."""
    surrogates, victims = ([names.get(name, name) for name in role] for role in (cell.surrogates, cell.victims))
    right, below = axes.secondary_yaxis("right"), axes.secondary_xaxis("bottom")
    for spined in (right, below):
        spined.spines[:].set_visible(False)
        spined.tick_params(length=0, pad=PAD, labelsize=SMALL)
    right.set_yticks(sheet.upper[-2] + 0.5 + np.arange(len(surrogates)), surrogates)
    right.set_ylabel("surrogates", size=SMALL, loc="bottom")
    if sheet.entry_width >= LEGIBLE_NAME:
        below.set_xticks(sheet.left[-2] + 0.5 + np.arange(len(victims)), victims, rotation=90)
        below.set_xlabel("victims", size=SMALL, loc="right")
    else:
        below.set_xticks([])
        below.set_xlabel("victims, in the same order", size=SMALL, loc="right")


def _colour_bar(axes: Axes, sheet: Arrangement) -> None:
    """Below the matrices at the left."""
    bar = axes.inset_axes((0, -0.2 / sheet.height, 0.3, 0.08 / sheet.height))
    axes.figure.colorbar(ScalarMappable(ACCURACY, COLOURS), cax=bar, orientation="horizontal", label="accuracy (%)")
    bar.grid(visible=False)
    bar.tick_params(labelsize=SMALL, length=2, pad=1)
    bar.xaxis.label.set_fontsize(SMALL)
    bar.xaxis.labelpad = 1


def _sentences(table: AccuracyLayout, cells: Sequence[Cell]) -> list[str]:
    return [
        f"One matrix for each cell of Table {table.number}: rows are surrogates, columns victims, both in the order "
        f"{listed(list(table.protocol.networks.values()))}; clean images have no surrogate.",
        *table_facts(table, cells[0].images, "Entries are means over seeds"),
        f"Accuracy in percent; {SURROGATES[table.surrogates]}. Where victims are trained as surrogates are, the "
        "first seed's diagonal is a network attacked on itself.",
    ]
