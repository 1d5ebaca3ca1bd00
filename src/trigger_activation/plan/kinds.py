"""Kinds of artifacts: all that is particular to one stands in its row.

Paths, wildcard constraints, rules, costs, progress, the page, DVC's folders, fingerprints and the dispatch of jobs read
these rows, and nothing else spells a path or takes one to pieces. Another kind is another row, a stage function and a
rule in ``workflow/rules``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from trigger_activation.errors import UserError, suggest
from trigger_activation.plan import contents, recipes
from trigger_activation.plan.kind import EACH_TABLE, Kind
from trigger_activation.plan.layouts import AnyFigureLayout, AnyTableLayout

EXTERNAL = Path("results/external")
"""Where users put files that this project does not come with, and that no kind makes."""
SURROGATE = "{protocol}/{network}__{paradigm}/seed{seed}"
"""Where networks and what is crafted on them lie."""

DATASET = Kind(
    "dataset",
    "results/datasets/{dataset}/{split}.npz",
    stage="run.stages.datasets:make_dataset",
    version=1,
    parameters=recipes.DatasetParameters,
    plural="Data sets",
    variant="{split}",
    setting="Data set {dataset}",
    instance="{split}",
    place=5,
    watches=("images",),
)
CHECKPOINT = Kind(
    "checkpoint",
    f"results/checkpoints/{SURROGATE}.safetensors",
    stage="run.stages.training:make_checkpoint",
    version=1,
    parameters=recipes.CheckpointParameters,
    roles=("train",),
    plural="Networks",
    variant="{paradigm}",
    setting="Training of {paradigm}",
    place=3,
    runs_networks=True,
    weight=30,
    watches=("deployment", "evaluation.accuracy", "images", "seeds", "training.loop"),
)
ENSEMBLE = replace(
    CHECKPOINT,
    name="ensemble",
    pattern="results/checkpoints/{protocol}/ensemble/{network}__{paradigm}/seed{seed}.safetensors",
    roles=("train", "surrogates"),
    plural="Networks trained with an ensemble",
)
"""A checkpoint of a paradigm that looks at other checkpoints: a kind of its own, so that no rule depends on itself."""
IMPORTED = Kind(
    "imported",
    "results/checkpoints/{protocol}/{network}__{victim}/seed0.safetensors",
    stage="run.stages.training:make_imported",
    version=1,
    parameters=recipes.ImportedParameters,
    plural="Networks trained elsewhere",
    variant="{network}__{victim}/seed0",
)
HELPER = Kind(
    "helper",
    "results/checkpoints/{protocol}/{helper}__{objective}/seed0.safetensors",
    stage="run.stages.training:make_helper",
    version=1,
    parameters=recipes.HelperParameters,
    roles=("train", "teacher"),
    plural="Helper networks",
    variant="{helper}__{objective}",
    setting="Helper network {helper}",
    instance="{helper}",
    place=2,
    runs_networks=True,
    watches=("images", "seeds"),
)
TAE = Kind(
    "tae",
    f"results/taes/{SURROGATE}/{{attack}}.npz",
    stage="run.stages.attacks:make_tae",
    version=2,
    parameters=recipes.TaeParameters,
    roles=("surrogate", "test", "helper"),
    plural="Sets of adversarial examples",
    variant="{attack}",
    setting="Attack",
    place=0,
    runs_networks=True,
    weight=7,
    watches=("attacks.engine", "deployment", "ensembles", "evaluation.loss", "images", "seeds"),
)
EXCERPT = Kind(
    "excerpt",
    f"results/excerpts/{SURROGATE}/{{attack}}.npz",
    stage="run.stages.attacks:make_excerpt",
    version=1,
    parameters=recipes.ExcerptParameters,
    roles=("images", "test"),
    plural="Excerpts of these",
    weight=1,
    watches=("images",),
)
"""What of a TAE set the remote inside the repository has room for."""
DATA_EXCERPT = replace(EXCERPT, pattern="results/excerpts/{dataset}/{split}.npz", rule="excerpt_of_data")
"""The same of test images."""
PURIFIED = Kind(
    "purified",
    f"results/purified/{SURROGATE}/{{attack}}__{{purifier}}.npz",
    stage="run.stages.attacks:make_purified",
    version=3,
    parameters=recipes.PurifiedParameters,
    roles=("images", "test", "helper"),
    plural="Purified sets",
    variant="{purifier}",
    setting="Purifier",
    place=1,
    runs_networks=True,
    watches=("attacks.engine", "images", "seeds"),
)
PURIFIED_CLEAN = replace(
    PURIFIED, pattern="results/purified/{protocol}/clean/{purifier}.npz", instance="clean", rule="purified_clean"
)
"""The same of the clean test images: one kind, since it is one computation, but another path."""
CELL = Kind(
    "cell",
    "results/cells/{protocol}/{surrogates}/{attack}/{column}.json",
    stage="run.stages.cells:make_cell",
    version=4,
    parameters=recipes.CellParameters,
    roles=("victims", "images", "test"),
    by_products=("results/predictions/{protocol}/{surrogates}/{attack}/{column}.npz",),
    content=contents.Cell,
    plural="Cells",
    variant="{column}",
    runs_networks=True,
    weight=2,
    watches=("deployment", "evaluation.accuracy", "images", "seeds"),
)
TRIGGER = Kind(
    "trigger",
    "results/cells/{protocol}/measured/trigger/{paradigm}.json",
    stage="run.stages.studies:make_trigger",
    version=1,
    parameters=recipes.TriggerParameters,
    roles=("checkpoints",),
    content=contents.TriggerStudy,
    variant="measured/trigger/{paradigm}",
    watches=("evaluation.triggers",),
)
FLIP = Kind(
    "flip",
    "results/cells/{protocol}/measured/flip/{paradigm}.json",
    stage="run.stages.studies:make_flip",
    version=1,
    parameters=recipes.FlipParameters,
    roles=("victim", "test"),
    content=contents.FlipStudy,
    variant="measured/flip/{paradigm}",
    runs_networks=True,
    weight=10,
    watches=("evaluation.triggers", "images", "seeds"),
)
CONCEPT = Kind(
    "concept",
    "results/cells/{protocol}/measured/concept/{paradigm}.json",
    stage="run.stages.studies:make_concept",
    version=2,
    parameters=recipes.ConceptParameters,
    roles=("victim", "undefended", "adversarial", "test"),
    content=contents.ConceptStudy,
    variant="measured/concept/{paradigm}",
    runs_networks=True,
    watches=("evaluation.accuracy", "evaluation.concept", "images"),
)
THEORY = Kind(
    "theory",
    "results/cells/{protocol}/measured/theory/{paradigm}.json",
    stage="run.stages.studies:make_theory",
    version=1,
    parameters=recipes.TheoryParameters,
    roles=("victims", "adversarial", "train", "test"),
    content=contents.TheoryStudy,
    variant="measured/theory/{paradigm}",
    runs_networks=True,
    watches=("deployment", "evaluation.loss", "evaluation.theory", "images"),
)
COST = Kind(
    "cost",
    "results/cells/{protocol}/measured/cost/{column}.json",
    stage="run.stages.studies:make_cost",
    version=3,
    parameters=recipes.CostParameters,
    roles=("victim", "test", "helper"),
    content=contents.CostStudy,
    variant="measured/cost/{column}",
    runs_networks=True,
    watches=("evaluation.timing", "images", "seeds"),
)
WHITE_BOX = Kind(
    "whitebox",
    "results/cells/{protocol}/measured/whitebox/{paradigm}.json",
    stage="run.stages.studies:make_whitebox",
    version=3,
    parameters=recipes.WhiteBoxParameters,
    roles=("victims", "test"),
    content=contents.WhiteBoxStudy,
    variant="measured/whitebox/{paradigm}",
    runs_networks=True,
    weight=50,
    watches=("evaluation.accuracy", "evaluation.white_box", "images", "seeds"),
)
INFORMED = Kind(
    "informed",
    "results/cells/{protocol}/measured/informed/{knows}/{attack}/{column}.json",
    stage="run.stages.informed:make_informed",
    version=1,
    parameters=recipes.InformedParameters,
    roles=("victims", "surrogates", "train", "test", "helper"),
    content=contents.InformedStudy,
    plural="Studies of informed attackers",
    variant="measured/informed/{knows}/{attack}/{column}",
    runs_networks=True,
    weight=50,
    watches=(
        *("attacks.engine", "defended", "deployment", "evaluation.accuracy", "evaluation.informed", "images", "seeds"),
        *("training.known_trigger", "training.loop"),
    ),
)
TABLE = Kind(
    "table",
    "paper_tables/{experiment}/{table}.tex",
    stage="run.stages.tables:make_table",
    version=6,
    parameters=AnyTableLayout,
    roles=("cells",),
    companions=("paper_tables/{experiment}/{table}.csv", "paper_tables/{experiment}/{table}.md"),
)
FIGURE = Kind(
    "figure",
    "paper_tables/{experiment}/{figure}.pdf",
    stage="run.stages.reports:make_figure",
    version=4,
    parameters=AnyFigureLayout,
    roles=("cells",),
    companions=(
        "paper_tables/{experiment}/{figure}.png",
        "paper_tables/{experiment}/{figure}.svg",
        "paper_tables/{experiment}/{figure}.md",
        "paper_tables/{experiment}/{figure}.tex",
    ),
)
COMPARISON = Kind(
    "comparison",
    "paper_tables/{experiment}/comparison.md",
    stage="run.stages.reports:make_comparison",
    version=4,
    parameters=recipes.ComparisonParameters,
    roles=(EACH_TABLE,),
    companions=("paper_tables/{experiment}/comparison.csv", "paper_tables/{experiment}/claims.csv"),
)
FINDINGS = Kind(
    "findings",
    "paper_tables/{experiment}/findings.json",
    stage="run.stages.reports:make_findings",
    version=2,
    parameters=recipes.FindingsParameters,
    roles=(EACH_TABLE,),
    content=contents.Findings,
)
AUDIT = Kind(
    "audit",
    "paper_tables/{experiment}/audit.md",
    stage="run.stages.reports:make_audit",
    version=3,
    parameters=recipes.AuditParameters,
    companions=("paper_tables/{experiment}/audit.csv",),
)
METRICS = Kind(
    "metrics",
    "paper_tables/{experiment}/metrics.yaml",
    stage="run.stages.reports:make_metrics",
    version=2,
    parameters=recipes.MetricsParameters,
    roles=(EACH_TABLE,),
    companions=("paper_tables/{experiment}/parameters.yaml", "paper_tables/{experiment}/headline.yaml"),
)
RUN = Kind(
    "run",
    "paper_tables/{experiment}/run.json",
    stage="run.stages.reports:make_run",
    version=2,
    parameters=recipes.RunParameters,
    roles=("artifacts",),
    content=contents.RunTotals,
    rule="run_record",
)
PAGE = Kind(
    "page",
    "paper_tables/{experiment}/index.html",
    stage="run.stages.reports:make_page",
    version=5,
    parameters=recipes.PageParameters,
    roles=("findings", "tables", "figures", "cells", "run"),
)
PDF = Kind(
    "pdf",
    "paper_tables/{experiment}/paper.pdf",
    stage="run.stages.reports:make_pdf",
    version=2,
    parameters=recipes.PdfParameters,
    roles=("findings", "tables", "figures", "run"),
)

KINDS = (
    *(DATASET, CHECKPOINT, ENSEMBLE, IMPORTED, HELPER, TAE, EXCERPT, DATA_EXCERPT, PURIFIED, PURIFIED_CLEAN),
    *(CELL, TRIGGER, FLIP, CONCEPT, THEORY, COST, WHITE_BOX, INFORMED),
    *(TABLE, FIGURE, FINDINGS, COMPARISON, AUDIT, METRICS, RUN, PAGE, PDF),
)

_PARTS = [Path(pattern).parts for kind in KINDS if not kind.is_in_git for pattern in (kind.pattern,)]
_PARTS += [Path(pattern).parts for kind in KINDS for pattern in kind.by_products]
SHARED = tuple(dict.fromkeys(parts[1] for parts in _PARTS))
"""Folders below ``results/`` whose files DVC keeps; each of their folders is tracked on its own."""


@cache
def named(name: str) -> Kind:
    """The kind that a recipe or record names.

    Raises:
        UserError: there is none.
    """
    for kind in KINDS:
        if kind.name == name:
            return kind
    raise UserError(f"there is no kind of artifact {name!r}: {suggest(name, [kind.name for kind in KINDS])}")


@cache
def of_rule(name: str) -> Kind:
    """The kind that a rule makes.

    Raises:
        UserError: there is none.
    """
    for kind in KINDS:
        if kind.rule_name == name:
            return kind
    raise UserError(
        f"the rule {name} makes no kind of artifact: {suggest(name, [kind.rule_name for kind in KINDS])} (rows of "
        "plan/kinds.py)"
    )


def shared_folder(file: str) -> Path | None:
    """The folder that DVC tracks a file in, such as ``results/checkpoints/fashion16``; None if DVC keeps it not."""
    parts = Path(file).parts
    if len(parts) < 4 or parts[0] != "results" or parts[1] not in SHARED:
        return None
    return Path(*parts[:3])
