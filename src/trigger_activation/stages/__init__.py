"""One function per rule: read inputs, call science, write outputs and provenance."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trigger_activation.job import Job
from trigger_activation.stages.attacks import make_purified, make_tae
from trigger_activation.stages.cells import make_cell
from trigger_activation.stages.datasets import make_dataset
from trigger_activation.stages.measurements import make_cost, make_whitebox
from trigger_activation.stages.reports import (
    make_audit,
    make_comparison,
    make_figure,
    make_metrics,
    make_page,
    make_pdf,
    make_run,
    make_table,
)
from trigger_activation.stages.studies import make_concept, make_flip, make_theory, make_trigger
from trigger_activation.stages.training import make_checkpoint, make_helper, make_imported

STAGES: Mapping[str, Callable[[Job], None]] = {
    "dataset": make_dataset,
    "checkpoint": make_checkpoint,
    "imported": make_imported,
    "helper": make_helper,
    "tae": make_tae,
    "purified": make_purified,
    "cell": make_cell,
    "trigger": make_trigger,
    "flip": make_flip,
    "concept": make_concept,
    "theory": make_theory,
    "whitebox": make_whitebox,
    "cost": make_cost,
    "table": make_table,
    "figure": make_figure,
    "comparison": make_comparison,
    "audit": make_audit,
    "metrics": make_metrics,
    "run": make_run,
    "page": make_page,
    "pdf": make_pdf,
}
"""Kind of artifact -> the function that makes it."""
