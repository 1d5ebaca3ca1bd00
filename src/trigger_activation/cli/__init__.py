"""``trigact``: look at the plan, ask why something is stale, audit bytes, print tables."""

from trigger_activation.cli.parser import main

__all__ = ["main"]
