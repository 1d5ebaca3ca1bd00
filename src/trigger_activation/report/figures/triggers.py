"""Triggers as pictures (paper, Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from trigger_activation.plan.contents import MeasuredTrigger, TriggerStudy
from trigger_activation.plan.layouts import ShownParadigms, TriggersLayout
from trigger_activation.report.tables.grid import escape_markdown
from trigger_activation.report.wording import listed
from trigger_activation.store.pictures import decode_png


def build(layout: TriggersLayout, cells: Sequence[TriggerStudy]) -> tuple[Figure, str]:
    """One row of pictures: a fixed trigger of the first network, then the other paradigms' of all networks."""
    slot = layout.slots[0]
    pictures = _titled(slot, cells)
    figure = Figure(figsize=(1.5 * len(pictures), 1.9))
    for axes, (title, picture) in zip(np.ravel(figure.subplots(1, len(pictures))), pictures, strict=True):
        axes.imshow(decode_png(picture), interpolation="nearest")
        axes.set_title(title)
        axes.axis("off")
    text = (
        f"{layout.title} on {slot.protocol.dataset}, drawn as 0.5 + τ / (2 max|τ|), seed 0. A fixed trigger "
        "looks alike for every network, so one is shown."
    )
    return figure, f"**Figure {layout.number}.** {escape_markdown(text)}\n"


def describe(layout: TriggersLayout, cells: Sequence[TriggerStudy]) -> str:
    """Which triggers there are, for those who cannot see the figure."""
    titles = [title.replace("\n", " of ") for title, _ in _titled(layout.slots[0], cells)]
    return f"{len(titles)} coloured noise patterns in a row, from left to right: {listed(titles)}."


def _titled(slot: ShownParadigms, cells: Sequence[TriggerStudy]) -> list[tuple[str, str]]:
    """Title and base64 picture of each trigger shown."""
    networks = slot.protocol.networks
    return [
        (f"{slot.paradigms[cell.paradigm]}\n{networks[trigger.network]}", trigger.picture)
        for index, cell in enumerate(cells)
        for trigger in _first_seed(cell)[: 1 if index == 0 else None]
    ]


def _first_seed(cell: TriggerStudy) -> list[MeasuredTrigger]:
    first = min(trigger.seed for trigger in cell.triggers)
    return [trigger for trigger in cell.triggers if trigger.seed == first]
