"""What the page tells about one cell, as texts that need no more than laying out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from trigger_activation.report.tables.accuracy import interval
from trigger_activation.report.tables.trigger import SCALE
from trigger_activation.science.sanity import failures

Labels = Mapping[str, str]
"""Network -> the name that tables give it."""
PAIRS = {"all": "All pairs", "off_diagonal": "Off diagonal", "same_architecture": "Same architecture, other seeds"}


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


def sheets(kind: str, content: Mapping[str, Any], labels: Labels, limits: Mapping[str, float]) -> list[Sheet]:
    """What was measured in a cell of some kind, and how it stands with the limits of sanity checks."""
    return [*KINDS.get(kind, _single_values)(content, labels), *_sanity(content, limits)]


def _sanity(content: Mapping[str, Any], limits: Mapping[str, float]) -> list[Sheet]:
    """The checks that a cell tells something about."""
    worst = {check: max(values) for check, values in content.get("evidence", {}).items() if values}
    if not worst:
        return []
    failed = failures(content, limits)
    rows = [
        (check.replace("_", " "), [f"{value:.2f}", f"{limits[check]:g}", "failed" if check in failed else "passed"])
        for check, value in worst.items()
    ]
    return [Sheet("Sanity checks", "Check", ["Worst observed", "Limit", "Verdict"], rows)]


def _accuracy(content: Mapping[str, Any], labels: Labels) -> list[Sheet]:
    """Means with their uncertainty, then victims by surrogates over all seeds and for each of them."""
    seeds, images = content["seeds"], content["images"]
    percent = [[[100 * n / images for n in victim] for victim in seed] for seed in content["correct"]]
    matrices = [_matrix(content, labels, [values], f"Seed {s}") for s, values in zip(seeds, percent, strict=True)]
    if len(seeds) > 1:
        matrices.insert(0, _matrix(content, labels, percent, f"Mean over {len(seeds)} seeds"))
    return [_means(content), *matrices]


def _means(content: Mapping[str, Any]) -> Sheet:
    columns = [_statistics(statistics, content["seeds"]) for statistics in content["means"].values()]
    return Sheet(
        caption=f"In percent of {content['images']:,} test images",
        corner="Accuracy",
        columns=[PAIRS[pairs] for pairs in content["means"]],
        rows=[(label, [column.get(label, "–") for column in columns]) for label in columns[0]],
    )


def _statistics(statistics: Mapping[str, Any], seeds: Sequence[int]) -> dict[str, str]:
    """One mean and its uncertainty; seeds where there are several, the last ones if it is not over all."""
    low, high = interval(statistics["bootstrap"])
    lines = {"Mean": f"{statistics['mean']:.2f}", "95 % over images": f"{low:.2f}–{high:.2f}"}
    if statistics["standard_deviation"] is not None:
        lines["Deviation over seeds"] = f"{statistics['standard_deviation']:.2f}"
    if len(seeds) > 1:
        per_seed = zip(seeds[-len(statistics["per_seed"]) :], statistics["per_seed"], strict=True)
        lines |= {f"Seed {seed}": f"{value:.2f}" for seed, value in per_seed}
    return lines


def _matrix(
    content: Mapping[str, Any], labels: Labels, percent: Sequence[Sequence[Sequence[float]]], caption: str
) -> Sheet:
    """Victims by surrogates, the mean over the seeds given; the clean row has no surrogates."""
    surrogates = content["surrogates"]
    means = [[mean(values) for values in zip(*victim, strict=True)] for victim in zip(*percent, strict=True)]
    rows = []
    for victim, row in zip(content["victims"], means, strict=True):
        same = [surrogate == victim for surrogate in surrogates] or [False]
        texts = [f"{value:.2f}" for value in row]
        entries = [{"same": text} if alike else text for text, alike in zip(texts, same, strict=True)]
        rows.append((labels.get(victim, victim), entries))
    return Sheet(caption, "Victim", [labels.get(s, s) for s in surrogates] or ["Clean images"], rows, percent=True)


def _trigger(content: Mapping[str, Any], labels: Labels) -> list[Sheet]:
    """Mean squares of all networks and seeds, and one picture of each network's trigger."""
    seeds = sorted({trigger["seed"] for trigger in content["triggers"]})
    networks = dict.fromkeys(trigger["network"] for trigger in content["triggers"])
    return [
        Sheet(
            caption="Mean squared entry in units of 0.01",
            corner="Network",
            columns=["Mean", "Deviation over seeds", *(f"Seed {seed}" for seed in seeds), f"Seed {seeds[0]} drawn"],
            rows=[(labels.get(network, network), _trigger_row(content["triggers"], network)) for network in networks],
        )
    ]


def _trigger_row(triggers: Sequence[Mapping[str, Any]], network: str) -> list[str | Mapping[str, str]]:
    own = sorted((t for t in triggers if t["network"] == network), key=lambda trigger: trigger["seed"])
    values = [SCALE * trigger["mean_square"] for trigger in own]
    deviation = f"{stdev(values):.3f}" if len(values) > 1 else "–"
    return [f"{mean(values):.3f}", deviation, *(f"{value:.3f}" for value in values), {"picture": own[0]["picture"]}]


def _cost(content: Mapping[str, Any], labels: Labels) -> list[Sheet]:
    """Timed batches, and how long the network was trained."""
    network, training = content["network"], content["training"]
    batches = [
        (f"Batch of {timing['batch_size']}", [f"{timing['milliseconds']:.3f}", f"{timing['batches']}"])
        for timing in content["timings"]
    ]
    test = f"{labels.get(network, network)} on {content['device']}, threads: {content['threads']}"
    return [
        Sheet(test, "Test time", ["Milliseconds", "Batches timed"], batches),
        Sheet(training["device"], "Training time", ["Seconds"], [("One network", [f"{training['seconds']:.1f}"])]),
    ]


def _single_values(content: Mapping[str, Any], labels: Labels) -> list[Sheet]:
    """Whatever single values a measurement of another kind holds."""
    single = {key: value for key, value in content.items() if not isinstance(value, dict | list)}
    rows = [(key.replace("_", " "), [labels.get(str(value), str(value))]) for key, value in single.items()]
    return [Sheet("Measured", "Quantity", ["Value"], rows)]


KINDS: Mapping[str, Callable[[Mapping[str, Any], Labels], list[Sheet]]] = {
    "cell": _accuracy,
    "trigger": _trigger,
    "cost": _cost,
}
"""Kind of artifact -> what tells about it."""
