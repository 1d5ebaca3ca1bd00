"""Which published column a variant of config corresponds to."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from trigger_activation.parameters import grey_levels
from trigger_activation.plan.layouts import Counterpart

DEFENSES: Mapping[str, tuple[str, str, str]] = {
    "standard": ("none", "", ""),
    "jpeg": ("jpeg", "q", "quality"),
    "bit_depth": ("bdr", "d", "depth"),
    "gaussian": ("gaussian", "sigma", "sigma"),
    "resize_pad": ("rp", "s", "scale"),
    "nrp": ("nrp", "", ""),
    "diffpure": ("diffpure", "", ""),
    "adversarial": ("at_pgd", "eps", "eps"),
    "rat": ("rat_trades", "eps", "eps"),
    "tdat": ("tdat", "eps", "eps"),
    "trigger_fixed": ("ours_fixed", "eps_t", "trigger_eps"),
    "trigger_learnable": ("ours_learnable", "alpha", "alpha"),
}
"""Registered class -> defense in published.csv, symbol of its parameter there, name of the parameter here."""


def counterpart(name: str, parameters: Mapping[str, Any]) -> Counterpart | None:
    """The published column that shows a class with these parameters, if one does.

    Args:
        name: the registered class.
        parameters: as config gives them, ``eps`` of the threat model among them.
    """
    if name not in DEFENSES:
        return None
    defense, symbol, parameter = DEFENSES[name]
    return Counterpart(defense=defense, param=f"{symbol}={_spelled(parameters.get(parameter))}" if symbol else "")


def _spelled(value: object) -> str:
    """As the paper spells it; fractions are of the pixel range."""
    return grey_levels(value) if isinstance(value, str | Fraction) else str(value)
