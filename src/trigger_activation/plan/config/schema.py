"""The shape of every config file. An unknown key is an error, and every name is checked in ``names.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, PositiveInt, PrivateAttr, model_validator

from trigger_activation.parameters import ExternalFile, PixelFraction, Sha256, StrictModel
from trigger_activation.plan.config.paper import Paper
from trigger_activation.plan.config.tables import Column, Figure, Table
from trigger_activation.plan.config.values import (
    BySide,
    Decimals,
    Distinct,
    Name,
    Report,
    SeedCount,
    Slot,
    VariantParameters,
    check_distinct,
)
from trigger_activation.science.sanity import SanityLimits
from trigger_activation.science.training.settings import TrainingSettings


class Settings(StrictModel):
    """``config.yaml``: what a run does unless ``--config`` says otherwise."""

    experiment: str
    allow_missing: bool = False
    """Render tables without the cells that are not there."""
    complete: bool = False
    """Make every artifact, even where a cell or a table is there already."""
    offered: dict[str, list[str]] = {}
    """Folder of config -> variants in it that users may show, though no experiment here does."""


class Declared(StrictModel):
    """A named entry in one of the files of a folder."""

    label: str
    _file: str = PrivateAttr("config")

    @property
    def file(self) -> str:
        """The file that declares it, for messages."""
        return self._file

    def declared_in(self, file: str) -> Self:
        """Remember the file that declares it."""
        self._file = file
        return self


class Variant(Declared):
    """A named choice of parameters for a registered class."""

    class_: str = Field(alias="class")
    parameters: VariantParameters = {}
    implemented: bool = True
    """False: declared so that the plan is complete, refused when an artifact that needs it is asked for."""


class DatasetVariant(Variant):
    """A data set; what it claims here is compared with the arrays when it is prepared."""

    classes: PositiveInt
    image_size: PositiveInt
    training_images: PositiveInt | None = None
    """How many its training split has, for plans of what a run will cost."""
    note: str = ""
    """A sentence about the images, which captions repeat."""
    class_names: list[str] = []
    """For figures, in the order of the labels; without them figures show the labels."""

    @model_validator(mode="after")
    def _a_name_for_each_class(self) -> Self:
        if self.class_names and len(self.class_names) != self.classes:
            raise ValueError(
                f"{len(self.class_names)} class_names do not fit {self.classes} classes: list one for each, or none"
            )
        return self


class NetworkVariant(Variant):
    """A surrogate and victim architecture."""

    relative_cost: BySide = {}
    """What a pass costs, over one of ResNet-18; 1 unless given. Only plans of what a run will cost depend on it."""


class AttackVariant(Variant):
    """An attack."""

    without_trigger: bool = False
    """Whether it is crafted on f_s(x), the surrogate without its trigger, instead of on f_s(x + tau_s)."""


class HelperVariant(Variant):
    """A network that attacks or purifiers consult."""

    call_ms: BySide = {}
    """Milliseconds for an image on the GPU that plans count in; nothing unless given."""
    substitute: bool = False
    """Whether it stands in for the network that the paper used; tables say so."""


class Victim(Declared):
    """A network that was trained elsewhere, to be shown as one more column."""

    network: str
    checkpoint: ExternalFile = Field(alias="file")
    sha256: Sha256 | None
    """Of the checkpoint; None until it is known."""


class AttackSettings(StrictModel):
    """The threat model (paper, section IV-A)."""

    eps: PixelFraction
    steps: PositiveInt
    batch_size: PositiveInt
    """Part of the recipe: several attacks draw random numbers per batch, so an interval resamples images by batches."""
    images: dict[str, PositiveInt] = {}
    """Attacks that are tried on fewer test images than the others -> the first so many."""
    memory_mib: PositiveInt = 512
    """What attacks that average over many copies may give to one pass of the surrogate, in MiB. A GPU wants much; a CPU
    is fastest with little, since the system clears large blocks of memory before it hands them out."""


class EvaluationSettings(StrictModel):
    """How accuracies are taken."""

    images: PositiveInt
    """The first so many test images."""
    batch_size: PositiveInt


class Seeds(StrictModel):
    """How many networks of each paradigm are trained; surrogates of a seed attack victims of that seed."""

    default: SeedCount = 1
    paradigms: dict[str, SeedCount] = {}

    def of(self, paradigm: str) -> range:
        """The seeds of one paradigm."""
        return range(self.paradigms.get(paradigm, self.default))


class EnsembleSettings(StrictModel):
    """Surrogates of one architecture that are attacked as one, by their mean logits."""

    label: str
    """For rows of tables, after "ensemble of"."""
    paradigms: Distinct[str]
    """How they are trained; roles too."""
    seeds: SeedCount = 1
    """The first so many of each."""

    @model_validator(mode="after")
    def _several(self) -> Self:
        if len(self.paradigms) * self.seeds < 2:
            raise ValueError("an ensemble needs two surrogates or more: add a paradigm or a seed")
        return self


class Overrides(StrictModel):
    """Parameters of variants that differ in one protocol."""

    paradigms: dict[str, VariantParameters] = {}
    attacks: dict[str, VariantParameters] = {}
    preprocessing: dict[str, VariantParameters] = {}
    helpers: dict[str, VariantParameters] = {}


class FlipSettings(StrictModel):
    """The trigger-flipping study of Figure 2."""

    network: str
    fractions: Distinct[Annotated[float, Field(ge=0, le=1)]]
    masks: PositiveInt
    """Independent random masks at each fraction."""


class CostSettings(StrictModel):
    """How Table V times a defended network."""

    network: str
    batch_sizes: Distinct[PositiveInt]
    repeats: PositiveInt = 5
    """How often each size is timed; the spread is over these."""
    batches: PositiveInt = 20
    """Timed batches of each repeat."""
    warm_up: PositiveInt = 10
    """Batches before them."""
    limit_seconds: Annotated[float, Field(gt=0)] = 120.0
    """After so long one repeat ends early; the cell says how many batches it is of."""


class WhiteBoxSettings(StrictModel):
    """Attacks on the victims' own gradients; PGD runs as the protocol's variant ``pgd_quarter`` does."""

    images: PositiveInt
    """The first so many test images."""
    seeds: PositiveInt | None = None
    """Victims of the first so many seeds; of all seeds unless given."""
    iterations: PositiveInt = 100
    """Of APGD and FAB in AutoAttack."""
    queries: PositiveInt = 5000
    """Of Square in AutoAttack."""


class InformedSettings(StrictModel):
    """Attackers who know more than a surrogate; each attack runs as the protocol's variant does."""

    images: PositiveInt
    """The first so many test images."""
    fewer_images: dict[str, PositiveInt] = {}
    """Attack -> the first so many instead, where victims are expensive to attack."""
    seeds: PositiveInt | None = None
    """Victims of the first so many seeds; of all seeds unless given."""
    bpda: Annotated[list[str], AfterValidator(check_distinct)] = []
    """Preprocessing, or roles, whose gradient counts as the identity's; the others are differentiated themselves."""


class Protocol(StrictModel):
    """Everything that decides a number: data, networks, training, threat model, seeds."""

    title: str
    dataset: str
    networks: Distinct[str]
    """Surrogate and victim architectures, S = T."""
    threads: PositiveInt = 1
    """Torch threads of every job; part of the recipe, since it may change rounding."""
    seeds: Seeds = Seeds()
    training_images: PositiveInt | None = None
    """The first so many training images; all of them unless given."""
    training: TrainingSettings
    attack: AttackSettings
    evaluation: EvaluationSettings
    flip: FlipSettings | None = None
    cost: CostSettings | None = None
    white_box: WhiteBoxSettings | None = None
    informed: InformedSettings | None = None
    sanity: SanityLimits = SanityLimits()
    """Cells beyond these limits are marked in tables."""
    roles: dict[Name, str] = {}
    """Names that tables and attacks use for a paradigm, preprocessing or helper network of this protocol."""
    ensembles: dict[Name, EnsembleSettings] = {}
    """What supplementary tables may name as ``surrogates``."""
    overrides: Overrides = Overrides()

    @model_validator(mode="after")
    def _several_batches(self) -> Self:
        every = {"evaluation.images": self.evaluation.images}
        few = {f"attack.images.{name}": count for name, count in self.attack.images.items()}
        for name, count in {**every, **few}.items():
            if count > self.evaluation.images:
                raise ValueError(f"{name} is {count}, more than evaluation.images: lower it")
            if count <= self.attack.batch_size:
                raise ValueError(
                    f"{name} is {count}, a single batch of attack.batch_size: an interval needs two or more"
                )
        return self


class Selection(StrictModel):
    """Rows, columns and slots that an experiment shows instead of all those that a table declares."""

    rows: Distinct[str] | None = None
    columns: Distinct[Column] | None = None
    slots: Distinct[Slot] | None = None


class Experiment(StrictModel):
    """A choice of protocols for the slots, and of tables, figures and reports."""

    title: str
    slots: dict[Slot, str]
    decimals: Decimals | None = None
    """Replaces the tables' own, where fewer images or seeds justify fewer digits."""
    tables: dict[str, Selection] = {}
    figures: Annotated[list[str], AfterValidator(check_distinct)] = []
    reports: Annotated[list[Report], AfterValidator(check_distinct)] = []
    replicates: str | None = None
    """The experiment that this one is a second run of; of such a run the repository keeps predictions alone."""


class Config(StrictModel):
    """All of config, by file name or variant name."""

    experiment: str
    datasets: dict[Name, DatasetVariant]
    networks: dict[Name, NetworkVariant]
    paradigms: dict[Name, Variant]
    attacks: dict[Name, AttackVariant]
    preprocessing: dict[Name, Variant]
    helpers: dict[Name, HelperVariant]
    victims: dict[Name, Victim]
    protocols: dict[Name, Protocol]
    tables: dict[Name, Table]
    figures: dict[Name, Figure]
    experiments: dict[Name, Experiment]
    offered: dict[str, list[str]] = {}
    """Folder of config -> variants in it that no experiment need show."""
    published: dict[str, str] = {}
    """Name -> sha256 of the files of numbers in ``config/published``."""
    paper: Paper | None = None
    """What ``config/published/paper.yaml`` says."""


ENTRY_FOLDERS: Mapping[str, type[Declared]] = {
    "datasets": DatasetVariant,
    "networks": NetworkVariant,
    "paradigms": Variant,
    "attacks": AttackVariant,
    "preprocessing": Variant,
    "helpers": HelperVariant,
    "victims": Victim,
}
"""Folders whose files map names to entries; an entry may stand in any file of its folder."""

DOCUMENT_FOLDERS: Mapping[str, Any] = {
    "protocols": Protocol,
    "tables": Table,
    "figures": Figure,
    "experiments": Experiment,
}
"""Folders where each file is one named object."""
