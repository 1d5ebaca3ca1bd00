"""One function per rule: read inputs, call science, write outputs and provenance."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import cast

from trigger_activation.run.job import Job

Stage = Callable[[Job], None]

MODULES: Mapping[str, str] = {
    "dataset": "datasets",
    "checkpoint": "training",
    "imported": "training",
    "helper": "training",
    "tae": "attacks",
    "purified": "attacks",
    "cell": "cells",
    "trigger": "studies",
    "flip": "studies",
    "concept": "studies",
    "theory": "studies",
    "whitebox": "measurements",
    "cost": "measurements",
    "table": "tables",
    "figure": "reports",
    "comparison": "reports",
    "audit": "reports",
    "metrics": "reports",
    "run": "reports",
    "page": "reports",
    "pdf": "reports",
}
"""Kind of artifact -> the module whose function ``make_KIND`` makes it."""


def load_stage(kind: str) -> Stage:
    """The function that makes artifacts of a kind; imported now, since what one needs would keep others waiting."""
    module = importlib.import_module(f"{__name__}.{MODULES[kind]}")
    return cast(Stage, getattr(module, f"make_{kind}"))
