"""Transfer attacks: one module each, on the iterative engine of ``_engine.py`` (paper, section IV-A)."""

from trigger_activation.attacks._engine import Attack
from trigger_activation.registry import Registry

__all__ = ["ATTACKS", "Attack"]

ATTACKS: Registry[Attack] = Registry("attack", __name__)
