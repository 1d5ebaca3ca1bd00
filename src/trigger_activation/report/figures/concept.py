"""What a trigger does to clean and adversarial images (paper, Figure 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trigger_activation.plan.contents import ConceptStudy
from trigger_activation.plan.layouts import ConceptLayout
from trigger_activation.report.figures._captions import SMALL, caption
from trigger_activation.report.tables.facts import data_and_networks, threat_model
from trigger_activation.store.pictures import decode_png

COLUMNS = {
    "clean": "x",
    "perturbation": "10 δ",
    "adversarial": "x + δ",
    "trigger": "10 τ",
    "clean_triggered": "x + τ",
    "adversarial_triggered": "x + δ + τ",
}
"""Pictures from left to right, and what is written above them."""
NETWORKS = {"undefended": "undefended", "with_trigger": "f"}
"""Whose answers stand below the pictures, from top to bottom, and what is written beside them."""
RIGHT, WRONG, OTHER = "#0072B2", "#D55E00", "0.65"
WIDTH, PICTURE, ANSWER, GAP = 6.0, 0.9, 0.36, 0.08
"""Inches: of the figure, of rows of pictures and of answers, and between examples."""


def build(layout: ConceptLayout, cells: Sequence[ConceptStudy]) -> tuple[Figure, str]:
    """For each example a row of pictures, and below each input what the networks say to it."""
    (cell,) = cells
    examples = cell.examples
    classes = layout.class_names or [str(label) for label in range(layout.protocol.classes)]
    heights = [PICTURE, *(ANSWER for _ in NETWORKS), GAP]
    figure = Figure(figsize=(WIDTH, 0.3 + sum(heights) * len(examples)))
    grid = figure.add_gridspec(len(heights) * len(examples), len(COLUMNS), height_ratios=heights * len(examples))
    for index, example in enumerate(examples):
        for column, name in enumerate(COLUMNS):
            places = [grid[len(heights) * index + row, column] for row in range(len(heights))]
            picture = cell.trigger if name == "trigger" else example.pictures[name]
            axes = figure.add_subplot(places[0], title="" if index else COLUMNS[name])
            axes.imshow(decode_png(picture), interpolation="nearest")
            axes.axis("off")
            answers = example.probabilities.get(name, {})
            for place, (network, label) in zip(places[1:], NETWORKS.items(), strict=False):
                if network in answers:
                    axes = figure.add_subplot(place)
                    _draw_answer(axes, answers[network], example.label, classes)
                    axes.set_ylabel("" if column else label, size=SMALL, rotation=0, ha="right", va="center")
    return figure, caption(layout, _sentences(layout, cell))


def describe(layout: ConceptLayout, cells: Sequence[ConceptStudy]) -> str:
    """How many examples there are and what they show, for those who cannot see the figure."""
    (cell,) = cells
    count = len(cell.examples)
    return (
        f"{count} test image{'s' * (count != 1)} in rows: from left to right the image, the perturbation and the "
        f"trigger ten times as strong, and their sums; below each input the class probabilities of the undefended "
        f"network and of the {layout.paradigm} network."
    )


def _draw_answer(axes: Axes, probabilities: Sequence[float], truth: int, names: Sequence[str]) -> None:
    """A line for each class, the true one and a wrong prediction in colour; above them the prediction."""
    predicted = int(np.argmax(probabilities))
    colours = [OTHER] * len(names)
    colours[predicted], colours[truth] = WRONG, RIGHT
    axes.vlines(range(len(names)), 0, probabilities, colours, linewidth=45 / len(names), capstyle="butt")
    axes.axhline(1 / len(names), color="0.3", linewidth=0.6, linestyle=":")
    axes.set(xticks=[], yticks=[], xlim=(-0.7, len(names) - 0.3), ylim=(0, 1.5))
    axes.spines["left"].set_visible(False)
    mark, colour = ("✓", RIGHT) if predicted == truth else ("✗", WRONG)
    said = f"{mark} {names[predicted]} {100 * probabilities[predicted]:.0f} %"
    axes.text(0.5, 1, said, size=SMALL, color=colour, ha="center", va="top", transform=axes.transAxes)


def _activated(cell: ConceptStudy) -> str:
    """How many f_t gets right of all fooled images, and of those shown."""
    answers = [(e.label, e.probabilities["adversarial_triggered"]["with_trigger"]) for e in cell.examples]
    right = sum(int(np.argmax(probabilities)) == label for label, probabilities in answers)
    of_all = f"Of all {cell.fooled:,} fooled images fₜ gets {cell.kept:,} right. " if cell.fooled else ""
    return f"{of_all}Of the {len(answers)} shown, fₜ gets {right} right."


def _sentences(layout: ConceptLayout, cell: ConceptStudy) -> list[str]:
    protocol, networks = layout.protocol, layout.protocol.networks
    return [
        f"δ is {layout.attack} on an undefended {networks[cell.surrogate]}; the answers are those of an "
        f"undefended {networks[cell.network]} and of f, a {networks[cell.network]} trained with the trigger τ "
        f"({layout.paradigm}), all of the first seed. Deployed is fₜ(x) = f(x + τ). Lines are the "
        f"probabilities of all {protocol.classes} classes, the true one blue, a wrong prediction orange, a guess "
        "dotted; above them the prediction and its probability.",
        "The examples are the first test images of different classes that the undefended network classifies correctly "
        f"before the attack and wrongly after it ({cell.fooled:,} of {cell.images:,} are such; where too few "
        f"are, the first correctly classified ones follow), whatever f says to them. {_activated(cell)}",
        "10 δ and 10 τ are drawn around middle grey, all pictures clipped to what can be shown; f sees them unclipped.",
        data_and_networks(protocol),
        threat_model(protocol, cell.images),
    ]
