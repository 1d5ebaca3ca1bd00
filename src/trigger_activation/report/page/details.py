"""What the page tells about one cell, as texts that need no more than laying out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from trigger_activation.plan.config.values import WITHOUT_TRIGGER
from trigger_activation.plan.contents import Cell, Content, CostStudy, MeasuredTrigger, Observed, TriggerStudy
from trigger_activation.report.tables.trigger import SCALE
from trigger_activation.science.evaluation.contrast import estimated, over_images
from trigger_activation.science.evaluation.results import PairMean
from trigger_activation.science.sanity import SanityLimits, failures

Labels = Mapping[str, str]
"""Network -> the name that tables give it."""
HEADINGS = {
    "all": "All pairs",
    "off_diagonal": "Off diagonal",
    "same_architecture": "Same architecture, other seeds",
    WITHOUT_TRIGGER: "Without the trigger",
}


@dataclass(frozen=True)
class Sheet:
    """A small table."""

    caption: str
    corner: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str | Mapping[str, str]]]]
    """Labels and entries: texts, or one that says what it is. ``same`` is a text about two networks of one
    architecture, ``picture`` a base64 PNG.
    """
    percent: bool = False
    """Whether numbers are shaded by their share of 100."""


def sheets(content: Content, labels: Labels, limits: SanityLimits | None) -> list[Sheet]:
    """What was measured in a cell or a study, and how it stands with the limits of sanity checks, if there are any."""
    return [*_measured(content, labels), *_sanity(content, limits)]


def _measured(content: Content, labels: Labels) -> list[Sheet]:
    match content:
        case Cell():
            return _accuracies(content, labels)
        case TriggerStudy():
            return [_magnitudes(content, labels)]
        case CostStudy():
            return _durations(content, labels)
        case _:
            return [_single_values(content, labels)]


def _sanity(content: Content, limits: SanityLimits | None) -> list[Sheet]:
    """The checks that a cell tells something about."""
    if not isinstance(content, Observed) or limits is None:
        return []
    worst = {check: max(values) for check, values in content.evidence.items() if values}
    if not worst:
        return []
    failed, limit_of = failures(content.evidence, limits), limits.model_dump()
    rows = [
        (check.replace("_", " "), [f"{value:.2f}", f"{limit_of[check]:g}", "failed" if check in failed else "passed"])
        for check, value in worst.items()
    ]
    return [Sheet("Sanity checks", "Check", ["Worst observed", "Limit", "Verdict"], rows)]


def _accuracies(cell: Cell, labels: Labels) -> list[Sheet]:
    """Means with their uncertainty, then victims by surrogates over all seeds and for each of them."""
    percent = [[[100 * n / cell.images for n in victim] for victim in seed] for seed in cell.correct]
    matrices = [_matrix(cell, labels, [values], f"Seed {s}") for s, values in zip(cell.seeds, percent, strict=True)]
    if len(cell.seeds) > 1:
        matrices.insert(0, _matrix(cell, labels, percent, f"Mean over {len(cell.seeds)} seeds"))
    return [_means(cell), *matrices]


def _means(cell: Cell) -> Sheet:
    columns = [_statistics(found, cell.seeds) for found in cell.means.values()]
    return Sheet(
        caption=f"In percent of {cell.images:,} test images",
        corner="Accuracy",
        columns=[HEADINGS[pairs] for pairs in cell.means],
        rows=[(label, [column.get(label, "–") for column in columns]) for label in columns[0]],
    )


def _statistics(found: PairMean, seeds: Sequence[int]) -> dict[str, str]:
    """One mean and its uncertainty, over seeds where there are several."""
    lines = {"Mean": f"{found.mean:.2f}", "95 % over images": f"± {over_images(found).margin():.2f}"}
    if found.standard_deviation is not None:
        lines["95 % over images and seeds"] = f"± {estimated(found).margin():.2f}"
        lines["Deviation over seeds"] = f"{found.standard_deviation:.2f}"
        lines |= {f"Seed {seed}": f"{value:.2f}" for seed, value in zip(seeds, found.per_seed, strict=True)}
    return lines


def _matrix(cell: Cell, labels: Labels, percent: Sequence[Sequence[Sequence[float]]], caption: str) -> Sheet:
    """Victims by surrogates, the mean over the seeds given; the clean row has no surrogates."""
    means = [[mean(values) for values in zip(*victim, strict=True)] for victim in zip(*percent, strict=True)]
    rows = []
    for victim, row in zip(cell.victims, means, strict=True):
        same = [surrogate == victim for surrogate in cell.surrogates] or [False]
        texts = [f"{value:.2f}" for value in row]
        entries = [{"same": text} if alike else text for text, alike in zip(texts, same, strict=True)]
        rows.append((labels.get(victim, victim), entries))
    columns = [labels.get(surrogate, surrogate) for surrogate in cell.surrogates] or ["Clean images"]
    return Sheet(caption, "Victim", columns, rows, percent=True)


def _magnitudes(study: TriggerStudy, labels: Labels) -> Sheet:
    """Mean squares of all networks and seeds, and one picture of each network's trigger."""
    seeds = sorted({trigger.seed for trigger in study.triggers})
    networks = dict.fromkeys(trigger.network for trigger in study.triggers)
    return Sheet(
        caption="Mean squared entry in units of 0.01",
        corner="Network",
        columns=["Mean", "Deviation over seeds", *(f"Seed {seed}" for seed in seeds), f"Seed {seeds[0]} drawn"],
        rows=[(labels.get(network, network), _trigger_row(study.triggers, network)) for network in networks],
    )


def _trigger_row(triggers: Iterable[MeasuredTrigger], network: str) -> list[str | Mapping[str, str]]:
    own = sorted((t for t in triggers if t.network == network), key=lambda trigger: trigger.seed)
    values = [SCALE * trigger.mean_square for trigger in own]
    deviation = f"{stdev(values):.3f}" if len(values) > 1 else "–"
    return [f"{mean(values):.3f}", deviation, *(f"{value:.3f}" for value in values), {"picture": own[0].picture}]


def _durations(study: CostStudy, labels: Labels) -> list[Sheet]:
    """Timed batches, and how long the network was trained."""
    batches = [
        (
            f"Batch of {timing.batch_size}",
            [f"{timing.milliseconds:.3f}", f"{timing.deviation:.3f}", f"{timing.repeats}", f"{timing.batches}"],
        )
        for timing in study.timings
    ]
    test = f"{labels.get(study.network, study.network)} on {study.device}, threads: {study.threads}"
    training = [("One network", [f"{study.training.seconds:.1f}"])]
    return [
        Sheet(test, "Test time", ["Milliseconds", "±", "Repeats", "Batches timed"], batches),
        Sheet(study.training.device, "Training time", ["Seconds"], training),
    ]


def _single_values(content: Content, labels: Labels) -> Sheet:
    """Whatever single values another study holds, in the order of its file."""
    single = {key: value for key, value in sorted(content.as_json().items()) if not isinstance(value, dict | list)}
    rows = [(key.replace("_", " "), [labels.get(str(value), str(value))]) for key, value in single.items()]
    return Sheet("Measured", "Quantity", ["Value"], rows)
