"""Sanity checks: signs in a cell itself that something behind its number did not work as it should.

Cells hold what was observed, so that a limit can change without a network running again; tables mark the cells that
go beyond one. ``docs/sanity-checks.md`` has a paragraph on each check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import NonNegativeFloat

from trigger_activation.parameters import StrictModel

Evidence = Mapping[str, list[float]]
"""Name of a check -> what was observed, the more the worse; in percent or in percentage points."""

EXPLANATIONS: Mapping[str, str] = {
    "training_log": "clean accuracy is up to {worst:.1f} points off the accuracy in the training log (limit {limit:g})",
    "without_trigger": "without its trigger a network is up to {worst:.1f} points above guessing (limit {limit:g})",
    "below_best": "a network is up to {worst:.1f} points of clean accuracy below the best of its column (limit "
    "{limit:g}), a sign of a failed training",
    "guessing": "a network is wrong on up to {worst:.1f} % as many clean images as guessing is (limit {limit:g} %), a "
    "sign of a failed training",
    "white_box": "an undefended surrogate still classifies up to {worst:.1f} % of its own TAEs (limit {limit:g} %)",
    "budget": "TAEs change pixels by up to {worst:.1f} % of their budget (limit {limit:g} %)",
    "randomness": "a random defense treats up to {worst:.1f} % of images the same in two passes (limit {limit:g} %)",
    "single_step": "one step lowers the accuracy by up to {worst:.1f} points more than many (limit {limit:g}), a sign "
    "of masked gradients",
}
"""What captions say about a check that failed."""


class SanityLimits(StrictModel):
    """Up to which value each check passes."""

    training_log: NonNegativeFloat = 25.0
    """Points between the clean accuracy of a network and its accuracy on training images when it had been trained."""
    without_trigger: NonNegativeFloat = 10.0
    """Points of f(x) above guessing, for a network that was trained with a trigger."""
    below_best: NonNegativeFloat = 25.0
    """Points of clean accuracy between a network and the best that was trained alike, of any architecture and seed."""
    guessing: NonNegativeFloat = 75.0
    """Errors on clean images in percent of those of a guess, for networks that all failed alike."""
    white_box: NonNegativeFloat = 10.0
    """Percent of its own TAEs, crafted through its own gradients, that an undefended network classifies correctly."""
    budget: NonNegativeFloat = 100.0
    """Percent of eps by which some pixel was changed; attacks that promise to keep it are refused before."""
    randomness: NonNegativeFloat = 50.0
    """Percent of images that a random defense treats the same in two passes."""
    single_step: NonNegativeFloat = 2.0
    """Points by which the accuracy under one step of eps is below that under the iterated attack."""


def failures(evidence: Evidence, limits: SanityLimits) -> dict[str, float]:
    """The checks that a cell fails, and the worst that was observed."""
    worst = {check: max(values) for check, values in evidence.items() if values}
    return {check: value for check, value in worst.items() if value > getattr(limits, check)}


def explanation(evidences: Iterable[Evidence], limits: SanityLimits) -> str | None:
    """A sentence on all checks that some cell fails, for a caption; None if none does.

    Args:
        evidences: of each cell.
        limits: of the cells' protocol.
    """
    worst: dict[str, float] = {}
    for evidence in evidences:
        for check, value in failures(evidence, limits).items():
            worst[check] = max(value, worst.get(check, value))
    if not worst:
        return None
    told = [EXPLANATIONS[c].format(worst=worst[c], limit=getattr(limits, c)) for c in EXPLANATIONS if c in worst]
    return f"†: fails a sanity check: {'; '.join(told)}."
