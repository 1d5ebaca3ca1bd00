"""Transfer attacks: one module each, on the iterative engine of ``engine.py`` (paper, section IV-A)."""

from trigger_activation.registry import Registry
from trigger_activation.science.attacks.engine import Attack

__all__ = ["ATTACKS", "Attack"]

ATTACKS: Registry[Attack] = Registry("attack", __name__)
