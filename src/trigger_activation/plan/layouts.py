"""What tables and figures show, resolved: the plan writes these frozen models, reports read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from trigger_activation.parameters import FrozenModel
from trigger_activation.plan.config.schema import InformedSettings, WhiteBoxSettings
from trigger_activation.plan.config.tables import Characteristic
from trigger_activation.plan.config.values import Knowledge, Pairs, Surrogates
from trigger_activation.science.sanity import SanityLimits


def _absent(value: object) -> bool:
    """Whether a recipe leaves a value out, as recipes did before there was its key."""
    return not value


class KindParameters(FrozenModel):
    """Parameters of an artifact, of whatever kind."""

    def as_json(self) -> dict[str, Any]:
        """What the recipe's hash covers and a job's spec holds; without what was not set, so that keys can be added."""
        return self.model_dump(mode="json", exclude=type(self).model_fields.keys() - self.model_fields_set)


class Facts(FrozenModel):
    """What captions and comparisons say about a protocol."""

    name: str
    dataset: str
    """Its label."""
    note: str = Field(default="", exclude_if=_absent)
    """What captions say about its images."""
    classes: int
    networks: dict[str, str]
    """Name -> label."""
    eps: str
    """Budget as a fraction of the pixel range: ``8/255``."""
    steps: int
    images: int
    """Test images."""
    fewer_images: dict[str, int] = Field(default={}, exclude_if=_absent)
    """Attack -> how many of them it is tried on, where these are fewer."""
    epochs: int
    sanity: SanityLimits


class ShownColumn(FrozenModel):
    """A column of a table: a defense."""

    name: str
    """Of its cells' files."""
    victim: str
    preprocessing: str | None
    label: str
    group: str
    seeds: int
    """How many networks of each architecture."""
    network: str | None = Field(default=None, exclude_if=_absent)
    """The label of the one network of a victim that was trained elsewhere."""

    @property
    def full(self) -> str:
        """Both headings in one line."""
        return f"{self.group} {self.label}".strip()


class ShownRow(FrozenModel):
    """A row of a table: an attack."""

    attack: str
    label: str


class Change(FrozenModel):
    """A parameter that a protocol sets otherwise than config declares it for all."""

    label: str
    """Of the attack, preprocessing or paradigm."""
    parameter: str
    declared: Any
    value: Any


class Layout(KindParameters):
    """What all tables and figures have."""

    number: str
    title: str


class TableLayout(Layout):
    """What all tables have."""

    missing: list[int] = Field(default=[], exclude_if=_absent)
    """Positions of the cells that are not there, where a run allows that."""


class ShownProtocol(FrozenModel):
    """A part of a table that speaks of one protocol."""

    protocol: Facts
    columns: list[ShownColumn]


class AttackedLayout(TableLayout):
    """Defenses under attacks."""

    decimals: int
    pairs: Pairs
    surrogates: Surrogates
    rows: list[ShownRow]
    columns: list[ShownColumn]
    protocol: Facts
    changes: list[Change]
    substitutes: dict[str, list[str]]
    """Label of a helper network that stands in for another -> labels of what consults it."""


class AccuracyLayout(AttackedLayout):
    """Attacks by defenses."""

    kind: Literal["accuracy"]
    mean_row: bool


class DifferenceLayout(AttackedLayout):
    """Differences between defenses by attacks."""

    kind: Literal["difference"]


class ShownAttack(FrozenModel):
    """A row of the supplementary table."""

    label: str
    attack: str
    """Of a transfer attack, or the name of a white-box one."""
    surrogates: str | None
    """``victim`` for attacks on the victim itself; none for clean images."""
    pairs: str | None
    """Of surrogate and victim; none for attacks on the victim itself."""
    knows: Knowledge | None = Field(default=None, exclude_if=_absent)
    """Of attackers who know more than a surrogate."""


class SupplementaryLayout(TableLayout):
    """Kinds of attack by victims."""

    kind: Literal["supplementary"]
    decimals: int
    rows: list[ShownAttack]
    columns: list[ShownColumn]
    protocol: Facts
    white_box: WhiteBoxSettings | None
    informed: InformedSettings | None = Field(default=None, exclude_if=_absent)
    """How attackers attack who know more than a surrogate, if there are some; labels in place of names."""
    changes: list[Change]
    substitutes: dict[str, list[str]] = Field(default={}, exclude_if=_absent)
    """Label of a helper network that stands in for another -> labels of what consults it."""
    notes: list[str]


class TriggerLayout(TableLayout):
    """Trigger paradigms by networks."""

    kind: Literal["trigger"]
    decimals: int
    slots: list[ShownProtocol]


class CostLayout(TableLayout):
    """Defenses by what they cost."""

    kind: Literal["cost"]
    slots: list[ShownProtocol]


class CharacteristicsLayout(TableLayout):
    """Verdicts by defenses."""

    kind: Literal["characteristics"]
    columns: list[ShownColumn]
    characteristics: list[Characteristic]
    rows: list[ShownRow]
    protocol: Facts


AnyTableLayout = Annotated[
    AccuracyLayout | DifferenceLayout | SupplementaryLayout | TriggerLayout | CostLayout | CharacteristicsLayout,
    Field(discriminator="kind"),
]


def protocols_of(layouts: Iterable[AnyTableLayout]) -> list[Facts]:
    """The facts of each protocol that some table uses."""
    return list({facts.name: facts for layout in layouts for facts in _facts(layout)}.values())


def _facts(layout: AnyTableLayout) -> list[Facts]:
    if isinstance(layout, TriggerLayout | CostLayout):
        return [slot.protocol for slot in layout.slots]
    return [layout.protocol]


class ShownParadigms(FrozenModel):
    """What a figure shows of one protocol."""

    protocol: Facts
    paradigms: dict[str, str]
    """Name -> label."""


class FlipLayout(Layout):
    """Curves over the share of flipped entries."""

    kind: Literal["flip"]
    slots: list[ShownParadigms]


class TriggersLayout(Layout):
    """Pictures of triggers."""

    kind: Literal["triggers"]
    slots: list[ShownParadigms]


class ConceptLayout(Layout):
    """Examples of what a trigger does."""

    kind: Literal["concept"]
    protocol: Facts
    class_names: list[str]
    paradigm: str
    """Its label."""
    attack: str
    """Its label."""


class TheoryLayout(Layout):
    """Theorems 1 and 2 over the magnitude of the trigger."""

    kind: Literal["theory"]
    protocol: Facts
    attack: str
    """Its label."""


class MatricesLayout(Layout):
    """A matrix for each cell of a table."""

    kind: Literal["matrices"]
    table: AccuracyLayout


class TradeoffLayout(Layout):
    """Clean against robust accuracy of a table's columns."""

    kind: Literal["tradeoff"]
    table: AccuracyLayout
    families: list[str]
    """Of each column, for its colour."""


AnyFigureLayout = Annotated[
    FlipLayout | TriggersLayout | ConceptLayout | TheoryLayout | MatricesLayout | TradeoffLayout,
    Field(discriminator="kind"),
]


class Counterpart(FrozenModel):
    """The published column that has a column's role: ``ours_fixed`` and ``eps_t=64/255``."""

    defense: str
    param: str


class InPrint(FrozenModel):
    """What the paper has in place of one slot of a table."""

    protocol: Facts
    columns: list[Counterpart | None]
    own: list[Counterpart | None] = Field(default=[])
    """What the paper would call the run's own columns, which are unlike their counterparts if parameters differ."""

    def alike(self) -> list[bool]:
        """Whether each column has the parameter of its counterpart."""
        return [theirs is not None and theirs == mine for theirs, mine in zip(self.columns, self.own, strict=True)]


class ComparedTable(FrozenModel):
    """A table and what the paper has in its place, slot by slot."""

    name: str
    layout: Annotated[AccuracyLayout | TriggerLayout, Field(discriminator="kind")]
    paper: list[InPrint]


class NamedTable(FrozenModel):
    """A table by the name of its file."""

    name: str
    layout: AnyTableLayout


class PageTable(NamedTable):
    """A table on a page."""

    cells: list[str]
    """Paths of what it is read from."""


class PageFigure(FrozenModel):
    """A figure on a page."""

    name: str
    layout: AnyFigureLayout
    cells: list[str]
    """Paths of what it is drawn from."""


class Omission(FrozenModel):
    """A table or figure that an experiment does not show."""

    number: str
    title: str


class PartialTable(FrozenModel):
    """What an experiment leaves out of a table that it shows, as labels."""

    number: str
    columns: list[str]
    rows: list[str]
    slots: list[str]


class LeftOut(FrozenModel):
    """What the experiment `paper` shows, or config declares without one, and another experiment does not show."""

    tables: list[Omission]
    figures: list[Omission]
    parts: list[PartialTable]
