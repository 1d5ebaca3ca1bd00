"""What Theorems 1 and 2 assume and conclude, over the magnitude of fixed triggers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from statistics import mean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from trigger_activation.parameters import parse_fraction
from trigger_activation.plan.contents import NetworkTheory, TheoryStudy
from trigger_activation.plan.layouts import TheoryLayout
from trigger_activation.report.figures._captions import PAGE, SMALL, caption, markdown_table
from trigger_activation.report.tables.facts import data_and_networks, threat_model
from trigger_activation.science.evaluation.results import FirstOrder

STYLES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"), ("#56B4E9", "P"))
"""Colour and marker of each network."""
PREDICTION: Mapping[str, Any] = {"color": "0.3", "linestyle": ":", "linewidth": 1.2, "zorder": 2}
CHANCE = "0.88"
CAVEATS = (
    "These are diagnostics, nothing passes or fails: Eq. 8 does not follow from Eq. 9, only ‖g‖₁ ≥ log C / εₜ does; "
    "Eq. 13 takes a perturbation that depends on the image out of the mean over images, so Theorem 2 holds as stated "
    "only for perturbations that do not; and where εₜ is below ε its bound is above log C and says nothing."
)

Networks = Sequence[NetworkTheory]
"""What the cells say of one network, from the smallest trigger to the largest."""
Curves = Mapping[str, Callable[[NetworkTheory], float]]
"""Name of a quantity -> its value for a network and trigger; a panel's second quantity is dashed."""


def build(layout: TheoryLayout, cells: Sequence[TheoryStudy]) -> tuple[Figure, str]:
    """Five panels over eps_t, and a table of all numbers below the caption."""
    ordered = sorted(cells, key=lambda cell: float(cell.networks[0].trigger_eps))
    by_network = list(zip(*(cell.networks for cell in ordered), strict=True))
    names = list(layout.protocol.networks.values())
    figure = Figure(figsize=(PAGE, 4.1))
    signs, change, losses, gap, attacked, key = figure.subplots(2, 3).flat
    _draw_signs(signs, by_network)
    _draw_change(change, by_network, math.log(cells[0].classes))
    _draw_losses(losses, by_network, math.log(cells[0].classes))
    _draw(gap, by_network, {"gap": lambda network: network.test.linearity_gap})
    gap.set(title="(d) linearity gap (nats)", ylim=(0, None))
    _draw_attacked(attacked, by_network, float(parse_fraction(cells[0].eps)))
    _draw_key(key, names)
    return figure, f"{caption(layout, _sentences(layout, cells))}\n{_table(names, by_network)}"


def describe(layout: TheoryLayout, cells: Sequence[TheoryStudy]) -> str:
    """The range of what the theorems predict most sharply, for those who cannot see the figure."""
    networks = [network for cell in cells for network in cell.networks]
    signs = [network.test.sign_agreement for network in networks]
    gaps = [network.test.linearity_gap for network in networks]
    return (
        f"Five line plots over the magnitude of the trigger, a curve for each of "
        f"{len(layout.protocol.networks)} networks. Sign agreement lies between {min(signs):.2f} and "
        f"{max(signs):.2f}, the linearity gap between {min(gaps):.2f} and {max(gaps):.2f} nats."
    )


def _draw(axes: Axes, by_network: Sequence[Networks], curves: Curves) -> None:
    """Quantities over eps_t, a curve for each network."""
    for networks, (colour, marker) in zip(by_network, cycle(STYLES), strict=False):
        for value, line in zip(curves.values(), ("-", "--"), strict=False):
            axes.plot(_levels(networks), [value(n) for n in networks], marker, linestyle=line, color=colour, zorder=3)
    levels = _levels(by_network[0])
    axes.set_xscale("log", base=2)
    axes.set_xticks(levels, [f"{level:.3g}" for level in levels])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("εₜ (1/255)")
    if len(curves) > 1:
        solid, dashed = Line2D([], [], color="black"), Line2D([], [], color="black", linestyle="--")
        axes.legend([solid, dashed], list(curves), frameon=True, framealpha=0.85, edgecolor="none")


def _levels(networks: Networks) -> list[float]:
    """The magnitudes of the triggers in grey levels."""
    return [255 * network.trigger_eps for network in networks]


def _draw_signs(axes: Axes, by_network: Sequence[Networks]) -> None:
    _draw(axes, by_network, {"agreement": lambda network: network.test.sign_agreement})
    half = chance_interval(by_network[0][0].entries)
    axes.axhspan(0.5 - half, 0.5 + half, color=CHANCE, zorder=0)
    axes.axhline(1, **PREDICTION)
    axes.set(title="(a) signs of g against those of τ", ylabel="share")


def chance_interval(entries: int) -> float:
    """Half of the 95 % interval around 0.5 for the agreement of so many signs with independent ones."""
    return 1.96 * 0.5 / math.sqrt(entries)


def _draw_change(axes: Axes, by_network: Sequence[Networks], limit: float) -> None:
    curves: Curves = {
        "−⟨g, τ⟩": lambda network: -network.test.inner_product,
        "εₜ ‖g‖₁": lambda network: network.test.hoelder_bound,
    }
    _draw(axes, by_network, curves)
    _mark_limit(axes, limit)
    axes.set_title("(b) first-order change (nats)")


def _mark_limit(axes: Axes, limit: float) -> None:
    axes.axhline(limit, **PREDICTION)
    axes.text(0.01, limit, "log C", size=SMALL, va="bottom", transform=axes.get_yaxis_transform())


def _draw_losses(axes: Axes, by_network: Sequence[Networks], limit: float) -> None:
    curves: Curves = {
        "x": lambda network: network.test.loss_without_trigger,
        "x + τ": lambda network: network.test.loss_with_trigger,
    }
    _draw(axes, by_network, curves)
    _mark_limit(axes, limit)
    axes.axhline(0, **PREDICTION)
    axes.set_title("(c) mean loss (nats)")


def _draw_attacked(axes: Axes, by_network: Sequence[Networks], eps: float) -> None:
    curves: Curves = {
        "transferred": lambda network: mean(network.transferred_loss.values()),
        "worst case": lambda network: network.worst_case_loss,
    }
    _draw(axes, by_network, curves)
    networks = by_network[0]
    axes.plot(_levels(networks), [network.loss_bound for network in networks], **PREDICTION)
    left, right = axes.get_xlim()
    if left < 255 * eps:
        axes.axvspan(left, min(255 * eps, right), color=CHANCE, zorder=0)
    axes.set(title="(e) mean loss under attack (nats)", xlim=(left, right), yscale="log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _draw_key(axes: Axes, names: Sequence[str]) -> None:
    networks = [
        Line2D([], [], color=colour, marker=marker, label=name)
        for name, (colour, marker) in zip(names, cycle(STYLES), strict=False)
    ]
    prediction = Line2D([], [], **PREDICTION, label="as the theorems say")
    chance = Patch(color=CHANCE, label="(a) chance, 95 %\n(e) bound above log C")
    axes.legend(handles=[*networks, prediction, chance], loc="center")
    axes.axis("off")


def _sentences(layout: TheoryLayout, cells: Sequence[TheoryStudy]) -> list[str]:
    protocol, images = layout.protocol, cells[0].images
    return [
        "l is the cross entropy of the network f without its trigger, g the mean of its gradient over images.",
        "(a) Share of the entries where g and τ have opposite signs (Eq. 8 says all).",
        "(b) First-order change of the mean loss from x to x + τ (Eq. 9 says log C) and the most that g allows.",
        "(c) Mean l at x and at x + τ (log C and 0 in the proof).",
        "(d) Mean |l(x + τ) − l(x) − ⟨∇l(x), τ⟩|, 0 if l were linear as the theorems assume.",
        f"(e) Mean loss of f(x + τ + δ), with δ from {layout.attack} on all undefended surrogates or the worst case "
        "of Theorem 2, −(ε/εₜ) τ, and its bound (ε/εₜ) log C, which takes the loss at x + τ for 0.",
        CAVEATS,
        data_and_networks(protocol),
        threat_model(protocol, images),
        "First seed; curves are of test images, the table is of as many training images, too (training / test).",
    ]


def _table(names: Sequence[str], by_network: Sequence[Networks]) -> str:
    """All numbers, training and test images as ``a / b``; a row for each trigger and network."""
    headers = ["εₜ", "network", "sign agreement", "⟨g, τ⟩", "εₜ ‖g‖₁", "l(x)", "l(x + τ)", "linearity gap"]
    headers += ["transferred", "worst case", "bound"]
    rows = [
        [f"{255 * network.trigger_eps:.3g}/255", name, *_numbers(network)]
        for measured in zip(*by_network, strict=True)
        for name, network in zip(names, measured, strict=True)
    ]
    return markdown_table(headers, rows)


def _numbers(network: NetworkTheory) -> list[str]:
    pairs = zip(_first_order(network.train), _first_order(network.test), strict=True)
    attacked = mean(network.transferred_loss.values()), network.worst_case_loss, network.loss_bound
    return [*(f"{train:.3f} / {test:.3f}" for train, test in pairs), *(f"{loss:.3f}" for loss in attacked)]


def _first_order(found: FirstOrder) -> tuple[float, ...]:
    """In the order of the table."""
    return (
        found.sign_agreement,
        found.inner_product,
        found.hoelder_bound,
        found.loss_without_trigger,
        found.loss_with_trigger,
        found.linearity_gap,
    )
