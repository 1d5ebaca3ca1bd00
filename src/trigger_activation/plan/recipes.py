"""The parameters of each kind of artifact: what its stage reads, and what its recipe covers beside its inputs.

The fields stand in the order in which the page shows them.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from trigger_activation.parameters import FrozenModel
from trigger_activation.plan.config.paper import Paper
from trigger_activation.plan.config.values import Knowledge
from trigger_activation.plan.layouts import (
    ComparedTable,
    Facts,
    InPrint,
    KindParameters,
    LeftOut,
    NamedTable,
    PageFigure,
    PageTable,
)
from trigger_activation.science.datasets import Split
from trigger_activation.science.training.settings import TrainingSettings

Algorithm = dict[str, Any]
"""The name of a registered class under ``class``, and all its parameters, as JSON values."""


class DatasetParameters(KindParameters):
    """Of one split of a data set."""

    source: Algorithm
    split: Split
    classes: int
    image_size: int


class CheckpointParameters(KindParameters):
    """Of a network that is trained here."""

    network: Algorithm
    paradigm: Algorithm
    training: TrainingSettings
    images: int | None
    """The first so many of the training images; all of them if none is given."""
    classes: int
    image_size: int
    seed: int
    threads: int


class ImportedParameters(KindParameters):
    """Of a network that was trained elsewhere."""

    network: Algorithm
    file: str
    sha256: str | None
    classes: int
    image_size: int


class HelperParameters(KindParameters):
    """Of a helper network."""

    helper: Algorithm
    image_size: int
    threads: int
    images: int | None = None
    """The first so many of the training images, where it is trained here; all of them if none is given."""


class TaeParameters(KindParameters):
    """Of a TAE set."""

    attack: Algorithm
    batch_size: int
    images: int
    threads: int
    without_trigger: bool = False
    """Whether the surrogate is attacked without its trigger."""


class ExcerptParameters(KindParameters):
    """Of the first images of a TAE set, or of test images."""

    images: int


class PurifiedParameters(KindParameters):
    """Of a purified image set."""

    purifier: Algorithm
    batch_size: int
    images: int
    threads: int


class CellParameters(KindParameters):
    """Of a table cell."""

    surrogates: str
    attack: str
    column: str
    networks: list[str]
    """Of the surrogates, and of the victims unless these are given."""
    seeds: list[int]
    """Of victims and surrogates: those of one seed meet."""
    preprocessing: Algorithm | None
    """Applied to every batch; None also where purified sets are evaluated."""
    images: int
    batch_size: int
    block: int
    """How many consecutive images shared an attack's draws."""
    threads: int
    victims: list[str] | None = None
    """Networks of the victims, where they are others than the surrogates'."""


class TriggerParameters(KindParameters):
    """Of a study of triggers."""

    paradigm: str
    networks: list[str]
    seeds: list[int]


class FlipParameters(KindParameters):
    """Of a study of flipped triggers."""

    paradigm: str
    network: str
    fractions: list[float]
    masks: int
    images: int
    batch_size: int
    threads: int


class ConceptParameters(KindParameters):
    """Of the examples of what a trigger does."""

    paradigm: str
    network: str
    surrogate: str
    attack: str
    examples: int
    images: int
    batch_size: int
    threads: int


class TheoryParameters(KindParameters):
    """Of a study of the theorems."""

    paradigm: str
    networks: list[str]
    attack: str
    eps: str
    classes: int
    images: int
    batch_size: int
    threads: int


class CostParameters(KindParameters):
    """Of the timing of one defense."""

    column: str
    network: str
    batch_sizes: list[int]
    repeats: int
    batches: int
    warm_up: int
    limit_seconds: float
    preprocessing: Algorithm | None
    threads: int


class WhiteBoxParameters(KindParameters):
    """Of white-box attacks on the victims of one paradigm."""

    paradigm: str
    networks: list[str]
    seeds: list[int]
    attack: Algorithm
    images: int
    iterations: int
    queries: int
    batch_size: int
    block: int
    """How many consecutive images make up one of the parts whose spread is that of the images; each image has its own
    draws."""
    threads: int


class KnownTriggerTraining(FrozenModel):
    """How an attacker trains networks with a trigger that he knows."""

    architectures: list[Algorithm]
    """Of each of the study's networks."""
    training: TrainingSettings
    images: int | None
    """The first so many of the training images; all of them if none is given."""
    classes: int
    image_size: int


class InformedParameters(KindParameters):
    """Of attackers who know more than a surrogate."""

    knows: Knowledge
    attack: str
    algorithm: Algorithm
    """Of the attack."""
    column: str
    networks: list[str]
    """Of the victims, and of surrogates where there are some."""
    seeds: list[int]
    preprocessing: Algorithm | None = None
    """Of the victims, where attackers know it."""
    bpda: bool = False
    """Whether its gradient counts as the identity's."""
    training: KnownTriggerTraining | None = None
    """Of surrogates, where attackers train some."""
    images: int
    batch_size: int
    block: int
    """How many consecutive images make up one of the parts whose spread is that of the images."""
    threads: int


class ComparisonParameters(KindParameters):
    """Of a run beside the published numbers."""

    paper: Paper
    tables: list[ComparedTable]
    published: dict[str, str]
    """File of published numbers -> sha256."""


class FindingsParameters(KindParameters):
    """Of what an experiment found."""

    tables: list[ComparedTable]
    published: dict[str, str]
    """File of published numbers -> sha256."""


class AuditParameters(KindParameters):
    """Of the audit of the published numbers."""

    published: dict[str, str]
    """File of published numbers -> sha256."""


class MetricsParameters(KindParameters):
    """Of all numbers and parameters as YAML."""

    tables: list[NamedTable]
    settings: dict[str, Any]


class RunParameters(KindParameters):
    """Of what a run took."""

    by_products: list[str]
    """Paths whose records are added up beside those of the inputs."""


class PageParameters(KindParameters):
    """Of the page of an experiment."""

    experiment: str
    title: str
    paper: Paper | None
    """None where nothing is compared with it."""
    papers: dict[str, list[InPrint]]
    """Name of a table -> what the paper has in place of each of its slots."""
    published: dict[str, str]
    """File of published numbers -> sha256."""
    tables: list[PageTable]
    figures: list[PageFigure]
    behind: dict[str, list[int]]
    """Path of a cell -> positions in the settings of what stands behind it."""
    settings: list[Annotated[tuple[str, dict[str, Any]], Field(strict=False)]]
    """Titles and parameters, each once."""
    left_out: LeftOut


class PdfParameters(KindParameters):
    """Of the document of an experiment."""

    experiment: str
    title: str
    paper: Paper | None
    """None where nothing is compared with it."""
    entries: list[Annotated[tuple[str, str], Field(strict=False)]]
    """Names and numbers of tables and figures, in the order of the document."""
    protocols: list[Facts]
