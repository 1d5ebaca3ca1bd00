"""Accuracy and loss while entries of the trigger are flipped (paper, Figure 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trigger_activation.plan.contents import FlipStudy
from trigger_activation.plan.layouts import FlipLayout
from trigger_activation.report.tables.grid import escape_markdown
from trigger_activation.science.evaluation.results import FlipPoint


def build(layout: FlipLayout, cells: Sequence[FlipStudy]) -> tuple[Figure, str]:
    """Two panels over the flipped share: accuracy and mean cross entropy, with chance level."""
    figure = Figure(figsize=(5.2, 2.2))
    accuracy, loss = figure.subplots(1, 2)
    slot = layout.slots[0]
    for cell in cells:
        label = slot.paradigms[cell.paradigm]
        fractions = [point.fraction for point in cell.points]
        _curve(accuracy, fractions, [point.accuracy for point in cell.points], label)
        _curve(loss, fractions, [point.loss for point in cell.points], label)
    classes = slot.protocol.classes
    accuracy.axhline(100 / classes, color="0.5", linestyle=":", linewidth=0.9, label="guessing at random")
    loss.axhline(math.log(classes), color="0.5", linestyle=":", linewidth=0.9)
    accuracy.set(xlabel="flipped entries (%)", ylabel="accuracy (%)", ylim=(0, 100))
    loss.set(xlabel="flipped entries (%)", ylabel="cross entropy")
    figure.legend(*accuracy.get_legend_handles_labels(), loc="outside upper center", ncols=len(cells) + 1)
    return figure, _caption(layout, cells)


def describe(layout: FlipLayout, cells: Sequence[FlipStudy]) -> str:
    """Where each accuracy curve begins, peaks and ends, for those who cannot see the figure."""
    labels = layout.slots[0].paradigms
    curves = [_course(labels[cell.paradigm], cell.points) for cell in cells]
    return f"Two line plots, accuracy and cross entropy over the share of flipped entries. {' '.join(curves)}"


def _course(label: str, points: Sequence[FlipPoint]) -> str:
    means = [(100 * point.fraction, mean(point.accuracy)) for point in points]
    (first, start), (last, end), (peak, top) = means[0], means[-1], max(means, key=lambda point: point[1])
    return (
        f"{label}: accuracy {start:.0f} % at {first:g} % flipped, at most {top:.0f} % at {peak:g} %, and {end:.0f} % "
        f"at {last:g} %."
    )


def _curve(axes: Axes, fractions: Sequence[float], by_fraction: Sequence[Sequence[float]], label: str) -> None:
    """Mean over masks, and the band from the smallest to the largest.

    Args:
        axes: to draw on.
        fractions: of flipped entries.
        by_fraction: a value for each mask (fractions, masks).
        label: of the curve.
    """
    percent = [100 * fraction for fraction in fractions]
    values = np.array(by_fraction)
    (line,) = axes.plot(percent, values.mean(axis=1), marker="o", label=label)
    axes.fill_between(percent, values.min(axis=1), values.max(axis=1), alpha=0.25, color=line.get_color(), lw=0)


def _caption(layout: FlipLayout, cells: Sequence[FlipStudy]) -> str:
    protocol = layout.slots[0].protocol
    cell = cells[0]
    network = protocol.networks[cell.network]
    masks = len(cell.points[0].accuracy)
    text = (
        f"{layout.title}: f(x + τ + δ), where δ is −τ with a random share of its entries flipped to +τ. At 0 % the "
        "trigger is cancelled and the network sees x; at 100 % it sees x + 2τ. "
        f"{protocol.dataset}, {network}, {cell.images:,} test images, mean over {masks} random masks, the band "
        "from the lowest to the highest."
    )
    return f"**Figure {layout.number}.** {escape_markdown(text)}\n"
