"""The shape of every config file. An unknown key is an error, and every name is checked in ``loader.py``."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from trigger_activation.parameters import PixelFraction
from trigger_activation.training.settings import TrainingSettings

SLUG = r"[a-z0-9-]+(?:_[a-z0-9-]+)*(?:\.[0-9]+)?"
"""Names in paths; never with a double underscore, which separates the parts of a file name."""


def _check_slug(name: str) -> str:
    if not re.fullmatch(SLUG, name):
        raise ValueError(f"{name!r} is no valid name: use lower-case letters, digits, hyphens and single underscores")
    return name


Name = Annotated[str, AfterValidator(_check_slug)]
Positive = Annotated[int, Field(gt=0)]


class Strict(BaseModel):
    """Base of all config models."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Variant(Strict):
    """A named choice of parameters for a registered class."""

    class_: str = Field(alias="class")
    label: str
    parameters: dict[str, Any] = {}
    implemented: bool = True
    """False: declared so that the plan is complete, refused when an artifact that needs it is asked for."""
    _file: str = PrivateAttr("config")

    @property
    def file(self) -> str:
        """The file that declares it, for messages."""
        return self._file

    def declared_in(self, file: str) -> Self:
        """Remember the file that declares the variant."""
        self._file = file
        return self


class DatasetVariant(Variant):
    """A data set; what it claims here is compared with the arrays when it is prepared."""

    classes: Positive
    image_size: Positive


class PreprocessingVariant(Variant):
    """A preprocessing defense."""

    stored: bool = False
    """True for expensive purifiers: each TAE set is purified once, as a target that all victims share."""


class AttackSettings(Strict):
    """The threat model (paper, section IV-A)."""

    eps: PixelFraction
    steps: Positive
    batch_size: Positive
    """Part of the recipe: several attacks draw random numbers per batch."""


class EvaluationSettings(Strict):
    """How accuracies are taken."""

    images: Positive
    """The first so many test images."""
    batch_size: Positive
    bootstrap: Positive = 500


class Seeds(Strict):
    """How many networks of each paradigm are trained; surrogates are those of seed 0."""

    default: Positive = 1
    paradigms: dict[str, Positive] = {}

    def of(self, paradigm: str) -> range:
        """The seeds of one paradigm."""
        return range(self.paradigms.get(paradigm, self.default))


class Overrides(Strict):
    """Parameters of variants that differ in one protocol."""

    paradigms: dict[str, dict[str, Any]] = {}
    attacks: dict[str, dict[str, Any]] = {}
    preprocessing: dict[str, dict[str, Any]] = {}


class FlipSettings(Strict):
    """The trigger-flipping study of Figure 2."""

    network: str
    fractions: list[Annotated[float, Field(ge=0, le=1)]]
    masks: Positive
    """Independent random masks at each fraction."""


class Protocol(Strict):
    """Everything that decides a number: data, networks, training, threat model, seeds."""

    title: str
    dataset: str
    networks: list[str]
    """Surrogate and victim architectures, S = T."""
    threads: Positive = 1
    """Torch threads of every job; part of the recipe, since it may change rounding."""
    seeds: Seeds = Seeds()
    training_images: Positive | None = None
    """The first so many training images; all of them unless given."""
    training: TrainingSettings
    attack: AttackSettings
    evaluation: EvaluationSettings
    flip: FlipSettings | None = None
    roles: dict[Name, str] = {}
    """Names that tables use for a paradigm or preprocessing of this protocol."""
    overrides: Overrides = Overrides()


class Column(Strict):
    """A table column: a victim paradigm, or a preprocessing in front of the undefended victim."""

    victim: str = "standard"
    preprocessing: str | None = None
    label: str | None = None
    """The variant's own, unless given."""
    group: str = ""
    """A heading that adjacent columns share."""


class TableBase(Strict):
    """What all tables have."""

    number: str
    title: str
    slots: list[Literal["A", "B", "C"]]
    decimals: Annotated[int, Field(ge=0, le=4)] = 2


class AccuracyTable(TableBase):
    """Attacks by defenses; each cell an Eq. 7 mean."""

    kind: Literal["accuracy"]
    rows: list[str]
    columns: list[Column]
    surrogates: Literal["standard", "same"] = "standard"
    """``same``: adaptive attackers, who train surrogates by the victim's own paradigm."""
    pairs: Literal["all", "off_diagonal"] = "all"
    clean_row: bool = True
    mean_row: bool = False

    @model_validator(mode="after")
    def _one_slot(self) -> AccuracyTable:
        if len(self.slots) != 1:
            raise ValueError("an accuracy table shows one data set: give `slots` one entry")
        return self


class TriggerTable(TableBase):
    """Mean squared magnitude of triggers, networks by data sets (Table XI)."""

    kind: Literal["trigger"]
    columns: list[Column]


class CostTable(TableBase):
    """Training hours and test milliseconds (Table V)."""

    kind: Literal["cost"]
    network: str
    columns: list[Column]
    implemented: bool = True


class CharacteristicsTable(TableBase):
    """Verdicts derived from measured cells (Table VI)."""

    kind: Literal["characteristics"]
    columns: list[Column]
    characteristics: list[str]
    implemented: bool = True


Table = Annotated[AccuracyTable | TriggerTable | CostTable | CharacteristicsTable, Field(discriminator="kind")]


class Figure(Strict):
    """A figure drawn from measured cells."""

    kind: Literal["flip", "triggers"]
    number: str
    title: str
    slots: list[Literal["A", "B", "C"]]
    paradigms: list[str]
    """Paradigms or roles that the figure shows."""


class Selection(Strict):
    """Rows, columns and slots that an experiment shows instead of all those that a table declares."""

    rows: list[str] | None = None
    columns: list[Column] | None = None
    slots: list[Literal["A", "B", "C"]] | None = None


class Experiment(Strict):
    """A choice of protocols for the slots, and of tables and figures."""

    title: str
    slots: dict[Literal["A", "B", "C"], str]
    decimals: Annotated[int, Field(ge=0, le=4)] | None = None
    """Replaces the tables' own, where fewer images or seeds justify fewer digits."""
    tables: dict[str, Selection] = {}
    figures: list[str] = []


class Config(Strict):
    """All of config, by file name or variant name."""

    experiment: str
    datasets: dict[Name, DatasetVariant]
    networks: dict[Name, Variant]
    paradigms: dict[Name, Variant]
    attacks: dict[Name, Variant]
    preprocessing: dict[Name, PreprocessingVariant]
    protocols: dict[Name, Protocol]
    tables: dict[Name, Table]
    figures: dict[Name, Figure]
    experiments: dict[Name, Experiment]
