"""What JSON artifacts hold: cells and studies as frozen models, which stages write and reports read.

The JSON of a model is the content of the file, whose sha256 its record holds.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field

from trigger_activation.parameters import FrozenModel
from trigger_activation.science.evaluation.results import FirstOrder, FlipPoint, PairMean
from trigger_activation.science.sanity import Evidence


class Content(FrozenModel):
    """What a JSON artifact holds beside its record."""

    path: str = Field(default="", exclude=True)
    """Where it was read from; no part of the content."""

    @classmethod
    def read_from(cls, path: str, content: dict[str, Any]) -> Self:
        """The content of a file."""
        return cls.model_validate({**content, "path": path})

    def as_json(self) -> dict[str, Any]:
        """What the file holds."""
        return self.model_dump(mode="json")


class Observed(Content):
    """A content that sanity checks look at."""

    evidence: Evidence = Field(default_factory=dict)


class Cell(Observed):
    """One table cell: every victim on every surrogate's images (paper, Eq. 5-7)."""

    surrogate_paradigm: str
    """How surrogates were trained; ``clean`` where there is no attack."""
    attack: str
    column: str
    victims: list[str]
    surrogates: list[str]
    """Networks; none where there is no attack."""
    seeds: list[int]
    """Of victims and surrogates: those of one seed meet."""
    images: int
    correct: list[list[list[int]]]
    """Counts of images, seeds x victims x surrogates; clean images count as one surrogate."""
    means: dict[str, PairMean]
    """Choice of pairs -> Eq. 7 over it; ``same_architecture`` is over victims and surrogates of different seeds, and
    ``without_trigger`` over clean images that victims see without the trigger they have."""


class WhiteBoxStudy(Observed):
    """What attacks on their own gradients leave of the victims of one paradigm."""

    paradigm: str
    victims: list[str]
    seeds: list[int]
    images: int
    correct: dict[str, list[list[int]]]
    """Attack -> counts of images, seeds x victims."""
    means: dict[str, PairMean]
    """Attack -> mean over victims."""


class InformedStudy(Observed):
    """What attackers leave of one column's victims who know more than a surrogate."""

    knows: str
    """What they know (see ``plan.config.schema.Knowledge``)."""
    attack: str
    column: str
    victims: list[str]
    seeds: list[int]
    images: int
    correct: list[list[list[int]]]
    """Counts of images, seeds x victims x surrogates: the victim itself, or the other architectures in their order."""
    means: dict[str, PairMean]
    """The attack, or the pairs that it crosses -> mean over them, in percent."""


class MeasuredTrigger(FrozenModel):
    """The trigger of one network."""

    network: str
    seed: int
    mean_square: float
    """Mean of tau squared, in the pixel range [0, 1]."""
    largest: float
    picture: str
    """PNG in base64."""


class TriggerStudy(Content):
    """Magnitudes and pictures of the triggers of one paradigm (Table XI, Figure 3)."""

    paradigm: str
    triggers: list[MeasuredTrigger]


class FlipStudy(Content):
    """Accuracy and loss while entries of a trigger are flipped (Figure 2)."""

    paradigm: str
    network: str
    images: int
    points: list[FlipPoint]


class Example(FrozenModel):
    """One test image, what was made of it, and what networks say to that."""

    position: int
    label: int
    pictures: dict[str, str]
    """Name of an input -> PNG in base64."""
    probabilities: dict[str, dict[str, list[float]]]
    """Name of an input -> network that was asked -> probability of each class."""


class ConceptStudy(Content):
    """What a trigger does to a few images (Figure 1)."""

    paradigm: str
    network: str
    surrogate: str
    attack: str
    images: int
    fooled: int
    """How many of the images the attack turns from right to wrong, on the undefended network."""
    kept: int
    """How many of these the network with its trigger gets right, attacked as they are."""
    trigger: str
    """PNG in base64."""
    examples: list[Example]


class NetworkTheory(FrozenModel):
    """What Theorems 1 and 2 assume and conclude on one network."""

    network: str
    trigger_eps: float
    entries: int
    """Of the trigger."""
    train: FirstOrder
    test: FirstOrder
    transferred_loss: dict[str, float]
    """Surrogate -> mean loss of f_t on its adversarial images, in nats."""
    worst_case_loss: float
    loss_bound: float


class TheoryStudy(Content):
    """Theorems 1 and 2 on the networks of one paradigm."""

    paradigm: str
    attack: str
    eps: str
    classes: int
    images: int
    networks: list[NetworkTheory]


class BatchTiming(FrozenModel):
    """Mean time for a batch of one size."""

    batch_size: int
    batches: int
    """How many it is the mean of."""
    repeats: int
    """In how many rounds, one after another in one job."""
    milliseconds: float
    deviation: float
    """Sample standard deviation over the repeats, in milliseconds; 0 of a single one."""


class TrainingTime(FrozenModel):
    """How long one network was trained."""

    seconds: float
    clock: str
    """``wall``, or ``cpu`` where other jobs ran beside."""
    device: str


class CostStudy(Content):
    """What one defense costs (Table V)."""

    column: str
    network: str
    device: str
    threads: int
    timings: list[BatchTiming]
    training: TrainingTime
    helper_parameters: int
    """Of the helper network that the defense consults; 0 without one."""


class Verdict(FrozenModel):
    """What one statement of the paper comes to."""

    statement: str
    section: str
    table: str
    """Its number."""
    in_print: str
    """What the published numbers say to it: ``supported``, ``contradicted``, ``open`` or ``not tested``."""
    here: str
    """What the numbers of this run say."""
    other_architectures: str
    """The same over pairs of different architectures alone."""
    decided_by: str
    """The comparison that decided here, in words; empty where none could."""
    address: str
    """On the page of the experiment, of the number that decided, or of the table."""


class Kept(FrozenModel):
    """What one defense keeps, in percent."""

    defense: str
    clean: float
    attacked: float
    """The mean over the attacks of the table."""
    other_architectures: float
    """The same between networks of different architectures alone."""
    in_print: float | None
    """The published mean over these attacks; none where the paper shows another parameter."""


class Findings(Content):
    """What an experiment found, as sentences and verdicts that pages, documents and terminals quote."""

    dataset: str
    table: str
    """Number of the table that the first sentence is about."""
    kept: list[Kept]
    """No defense, adversarial training and the best trigger of that table."""
    headline: list[str]
    """The sentences that matter, each complete by itself."""
    differences: list[str]
    """What this run does otherwise than the paper; empty where magnitudes can be compared."""
    verdicts: list[Verdict]
    audit: list[str]
    """What the published numbers say about themselves."""


class KindTotal(FrozenModel):
    """Time and memory of all artifacts of one kind."""

    kind: str
    artifacts: int
    seconds: float
    cpu_seconds: float
    peak_memory_mib: float
    """Of the largest job."""


class CodeState(FrozenModel):
    """The code that artifacts were made by."""

    commit: str | None
    dirty: bool
    """Whether files differed from that commit."""


class RunTotals(Content):
    """What a run took: the records of all its artifacts added up."""

    kinds: list[KindTotal]
    devices: list[str]
    arithmetic: list[str] = Field(default_factory=list)
    """How they round: equal where the same recipe gives the same bytes (see ``science.arithmetic``)."""
    machines: int
    commits: list[CodeState]
    packages: dict[str, list[str]]
    """Package -> the versions that were used."""
