"""The shape of files in ``tables`` and ``figures``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from trigger_activation.parameters import StrictModel
from trigger_activation.plan.config.values import (
    CLEAN,
    STANDARD,
    Decimals,
    Distinct,
    Knowledge,
    Name,
    Pairs,
    Slot,
    Surrogates,
)


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


class AttackedTable(OneSlotTable):
    """Defenses under attacks; each cell an Eq. 7 mean."""

    rows: Distinct[str]
    """Attacks."""
    surrogates: Surrogates = "standard"
    pairs: Pairs = "all"
    clean_row: bool = True
    """Whether clean images come first."""


class AccuracyTable(AttackedTable):
    """Attacks by defenses."""

    kind: Literal["accuracy"]
    mean_row: bool = False


class DifferenceTable(AttackedTable):
    """Every defense minus each before it, with intervals, by attacks."""

    kind: Literal["difference"]


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
    AccuracyTable | DifferenceTable | SupplementaryTable | TriggerTable | CostTable | CharacteristicsTable,
    Field(discriminator="kind"),
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
