"""The shape of every config file. An unknown key is an error, and every name is checked in ``loader.py``."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, JsonValue, PositiveInt, PrivateAttr, model_validator

from trigger_activation.parameters import ExternalFile, PixelFraction, Sha256, StrictModel
from trigger_activation.plan.config.paper import Paper
from trigger_activation.science.sanity import SanityLimits
from trigger_activation.science.training.settings import TrainingSettings

SLUG = r"[a-z0-9-]+(?:_[a-z0-9-]+)*(?:\.[0-9]+)?"
"""Names in paths; never with a double underscore, which separates the parts of a file name."""


def _check_slug(name: str) -> str:
    if not re.fullmatch(SLUG, name):
        raise ValueError(f"{name!r} is no valid name: use lower-case letters, digits, hyphens and single underscores")
    return name


T = TypeVar("T")
STANDARD = "standard"
"""The paradigm of undefended networks."""
CLEAN = "clean"
"""The name that rows of clean images have in place of an attack's."""
WHITE_BOX = "pgd_quarter"
"""The attack that white-box rows run beside AutoAttack, for which larger steps are stronger than those of ``pgd``."""
WITHOUT_TRIGGER = "without_trigger"
"""The name of the mean over clean images that victims see without their trigger."""

Name = Annotated[str, AfterValidator(_check_slug)]


def _check_distinct(values: list[T]) -> list[T]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value!r} is listed twice: keep one")
    return values


Distinct = Annotated[list[T], Field(min_length=1), AfterValidator(_check_distinct)]
"""A list of at least one value, no two alike."""
Slot = Literal["A", "B", "C"]
Report = Literal["findings", "comparison", "audit", "metrics", "page", "pdf"]
"""What was found, the run beside the published numbers, these numbers' own arithmetic, all numbers as YAML, and
everything on one page or in one PDF.
"""
SeedCount = Annotated[int, Field(ge=1, le=1000)]
Decimals = Annotated[int, Field(ge=0, le=4)]
Surrogates = Literal["standard", "same"]
"""``same``: adaptive attackers, who train surrogates by the victim's own paradigm."""
Knowledge = Literal["victim", "trigger", "trigger_trained"]
"""What attackers know who know more than a surrogate: the victim with its trigger and preprocessing, whose answers and
gradients they take; its trigger, which they add to undefended networks; its trigger, with which they train networks.
"""
Pairs = Literal["all", "off_diagonal"]
"""Of surrogate and victim architectures."""
VariantParameters = dict[str, JsonValue]


BySide = dict[PositiveInt, Annotated[float, Field(gt=0)]]
"""A number for images up to a side in pixels."""


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
    bpda: Annotated[list[str], AfterValidator(_check_distinct)] = []
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


class Column(StrictModel):
    """A table column: a victim paradigm or imported victim, or a preprocessing in front of the undefended victim."""

    victim: str = STANDARD
    preprocessing: str | None = None
    label: str | None = None
    """The victim's or preprocessing's own, unless given."""
    group: str = ""
    """A heading that adjacent columns share."""

    @model_validator(mode="after")
    def _preprocessing_of_undefended_victims(self) -> Self:
        if self.preprocessing and self.victim != STANDARD:
            raise ValueError(
                f"it puts {self.preprocessing} in front of {self.victim}, but preprocessing is evaluated with the "
                f"{STANDARD} victim only: drop one of them"
            )
        return self


class TableBase(StrictModel):
    """What all tables have."""

    number: str
    title: str
    slots: Distinct[Slot]
    decimals: Decimals = 2


class OneSlotTable(TableBase):
    """A table of accuracies, all of them on one data set."""

    columns: Distinct[Column]

    @model_validator(mode="after")
    def _one_slot(self) -> Self:
        if len(self.slots) != 1:
            raise ValueError("an accuracy table shows one data set: give `slots` one entry")
        return self


class AccuracyTable(OneSlotTable):
    """Attacks by defenses; each cell an Eq. 7 mean."""

    kind: Literal["accuracy"]
    rows: Distinct[str]
    surrogates: Surrogates = "standard"
    pairs: Pairs = "all"
    clean_row: bool = True
    mean_row: bool = False


class SupplementaryRow(StrictModel):
    """Clean images, transfer attacks over some pairs, or attackers who know the victim or something of it."""

    attack: str | None = None
    pairs: Pairs | Literal["same_architecture"] = "all"
    """``same_architecture``: of another seed than the surrogate."""
    surrogates: Name = "standard"
    """``standard``, ``same`` as in accuracy tables, a paradigm or role, or an ensemble of the protocol's."""
    white_box: Literal["pgd", "autoattack"] | None = None
    without_trigger: bool = False
    """Of clean images: whether victims see them without their trigger, where networks with a trigger shall guess."""
    knows: Knowledge | None = None
    """That the attack is an attacker's who knows more than a surrogate."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.attack is None) == (self.white_box is None):
            raise ValueError("a row is either a transfer attack or a white-box one: give it `attack` or `white_box`")
        if self.attack in {None, CLEAN} and self.knows is not None:
            raise ValueError("`knows` belongs to a row of an attack: give it `attack`, or remove it")
        if (self.attack in {None, CLEAN} or self.knows) and self.model_fields_set & {"pairs", "surrogates"}:
            raise ValueError("`pairs` and `surrogates` belong to transfer attacks: remove them from this row")
        if self.without_trigger and self.attack != CLEAN:
            raise ValueError("`without_trigger` belongs to the row of clean images: remove it from this row")
        return self


class SupplementaryTable(OneSlotTable):
    """Kinds of attack by victims: how far transfer robustness is from robustness."""

    kind: Literal["supplementary"]
    rows: Distinct[SupplementaryRow]
    notes: list[str] = []
    """Sentences for the caption, beside those that tell what was used."""


class TriggerTable(TableBase):
    """Mean squared magnitude of triggers, networks by data sets (Table XI)."""

    kind: Literal["trigger"]
    columns: Distinct[Column]


class CostTable(TableBase):
    """Training hours and test milliseconds of each defense (Table V)."""

    kind: Literal["cost"]
    columns: Distinct[Column]


class Characteristic(StrictModel):
    """A property of defenses and how a measured number becomes a verdict on it."""

    label: str
    measure: Literal[
        "preprocessing", "trained", "helper", "training_time", "test_time", "clean_drop", "accuracy_on_taes"
    ]
    limits: list[float] = []
    """Ascending; a number above the first limit gets the second verdict, and so on."""
    verdicts: Distinct[str]
    published: list[str]
    """The paper's verdicts, one per column."""

    @model_validator(mode="after")
    def _a_verdict_between_limits(self) -> Self:
        limits = self.limits or [0.5]
        if len(self.verdicts) != len(limits) + 1 or sorted(limits) != limits:
            raise ValueError(
                f"{len(self.verdicts)} verdicts do not fit {len(self.limits)} limits: list the limits in ascending "
                "order and one verdict more"
            )
        return self


class CharacteristicsTable(TableBase):
    """Verdicts derived from measured cells (Table VI)."""

    kind: Literal["characteristics"]
    rows: Distinct[str]
    """Attacks whose mean is the accuracy on TAEs."""
    columns: Distinct[Column]
    characteristics: Distinct[Characteristic]

    @model_validator(mode="after")
    def _published_verdicts_fit(self) -> Self:
        for characteristic in self.characteristics:
            if len(characteristic.published) != len(self.columns):
                raise ValueError(
                    f"the characteristic {characteristic.label} has {len(characteristic.published)} published verdicts "
                    f"for {len(self.columns)} columns: list one per column"
                )
        if len(self.slots) != 1:
            raise ValueError("a table of characteristics shows one data set: give `slots` one entry")
        return self


Table = Annotated[
    AccuracyTable | SupplementaryTable | TriggerTable | CostTable | CharacteristicsTable, Field(discriminator="kind")
]


class FigureBase(StrictModel):
    """What all figures have."""

    number: str
    title: str


class ParadigmFigure(FigureBase):
    """Drawn from a study of some paradigms."""

    kind: Literal["flip", "triggers"]
    slots: Distinct[Slot]
    paradigms: Distinct[str]
    """Paradigms or roles that the figure shows."""


class ConceptFigure(FigureBase):
    """What a trigger does to a few test images (Figure 1)."""

    kind: Literal["concept"]
    slot: Slot
    paradigm: str
    """Paradigm or role of the network with a trigger."""
    attack: str
    examples: PositiveInt = 3


class TheoryFigure(FigureBase):
    """Theorems 1 and 2 on the networks that a table shows with fixed triggers."""

    kind: Literal["theory"]
    table: str
    attack: str


class TableFigure(FigureBase):
    """The cells of an accuracy table, as the experiment shows it."""

    kind: Literal["matrices", "tradeoff"]
    table: str


Figure = Annotated[ParadigmFigure | ConceptFigure | TheoryFigure | TableFigure, Field(discriminator="kind")]


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
    figures: Annotated[list[str], AfterValidator(_check_distinct)] = []
    reports: Annotated[list[Report], AfterValidator(_check_distinct)] = []


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
