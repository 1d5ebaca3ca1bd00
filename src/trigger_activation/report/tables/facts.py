"""Sentences that say what a table or figure was really made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from trigger_activation.parameters import grey_levels
from trigger_activation.plan.config.schema import InformedSettings, WhiteBoxSettings
from trigger_activation.plan.layouts import Change, Facts, ShownAttack, ShownColumn, ShownRow
from trigger_activation.report.wording import listed


def data_and_networks(protocol: Facts) -> str:
    """The data set and the networks, and what is to be known about the images."""
    sentence = f"{protocol.dataset}; networks {listed(list(protocol.networks.values()))}."
    return f"{sentence} {protocol.note}".rstrip()


def titled(title: str, protocol: Facts) -> str:
    """A title that names the data set, since tables of several data sets share theirs in the paper."""
    return f"{title}, {protocol.dataset}"


def trained_elsewhere(columns: Sequence[ShownColumn]) -> list[str]:
    """One sentence for each column whose victim is a single imported network."""
    return [
        f"{column.full} is a single {column.network} that was trained elsewhere."
        for column in columns
        if column.network is not None
    ]


def threat_model(protocol: Facts, images: int) -> str:
    """Budget, iterations, and how many images were evaluated."""
    return f"Perturbations up to {grey_levels(protocol.eps)} in {protocol.steps} iterations, {images:,} test images."


def fewer_images(protocol: Facts, rows: Iterable[ShownRow | ShownAttack]) -> list[str]:
    """One sentence on the attacks of a table that are tried on fewer images than the others, if any are."""
    few: dict[int, list[str]] = {}
    for label, count in {row.label: protocol.fewer_images.get(row.attack) for row in rows}.items():
        if count is not None:
            few.setdefault(count, []).append(label)
    return [f"On the first {count:,} images only: {listed(labels)}." for count, labels in few.items()]


def column_seeds(columns: Sequence[ShownColumn]) -> dict[str, int]:
    """Heading of each column -> the seeds of its victims."""
    return {column.full: column.seeds for column in columns}


def seeds_used(counts: Mapping[str, int], spread: str = "± is the standard deviation over seeds") -> str:
    """How many networks were trained per column, and what the seeds show as: a clause that the counts follow."""
    if set(counts.values()) <= {1}:
        return "One seed per network."
    if len(counts) > 1 and len(set(counts.values())) == 1:
        return f"{spread}: {min(counts.values())} seeds for each."
    by_count: dict[int, list[str]] = {}
    for label, count in counts.items():
        by_count.setdefault(count, []).append(label)
    others = ", one seed for the others" if by_count.pop(1, None) else ""
    which = listed([f"{count} seeds for {listed(labels)}" for count, labels in by_count.items()])
    return f"{spread}: {which}{others}."


def substitutes(used: Mapping[str, Sequence[str]]) -> list[str]:
    """One sentence for each network trained here that stands in for the paper's."""
    return [
        f"Substitute: {helper}, trained here, stands in for the network of {listed(labels)}."
        for helper, labels in used.items()
    ]


def white_box_attacks(settings: WhiteBoxSettings) -> str:
    """Whom white-box attacks differentiate, on how many images, with what effort."""
    return (
        f"White-box attacks take the gradients of the victims themselves, on the first {settings.images:,} test "
        f"images and the networks of {_first_seeds(settings.seeds)}; AutoAttack runs APGD-CE, APGD-T and FAB-T for "
        f"{settings.iterations:,} iterations and Square for {settings.queries:,} queries."
    )


KNOWLEDGE = {
    "victim": "attacks on the victim take its own answers or gradients, trigger and preprocessing included",
    "trigger": "where the trigger is known, it is added to undefended surrogates",
    "trigger_trained": "attackers who train with the known trigger have surrogates f(x + τ) of their own",
}
"""What attackers know who know more than a surrogate."""


def informed_attacks(settings: InformedSettings, known: Sequence[str | None]) -> str:
    """What attackers know who know more than a surrogate, and on how many images and seeds they were measured.

    Args:
        settings: with labels in place of names.
        known: what the attacker of each row of the table knows.
    """
    told = "; ".join(sentence for knowledge, sentence in KNOWLEDGE.items() if knowledge in known)
    bpda = f" (by BPDA for {listed(settings.bpda)})" if settings.bpda and "victim" in known else ""
    fewer = "".join(f" ({label}: {count:,})" for label, count in settings.fewer_images.items())
    return (
        f"{told[0].upper()}{told[1:]}{bpda}. These attackers are measured on the first {settings.images:,} test "
        f"images{fewer} and the networks of {_first_seeds(settings.seeds)}."
    )


def _first_seeds(count: int | None) -> str:
    return {None: "all seeds", 1: "the first seed"}.get(count, f"the first {count} seeds")


def changed_parameters(changes: Sequence[Change]) -> list[str]:
    """One sentence on what this protocol runs with other parameters than config declares for all, if anything."""
    if not changes:
        return []
    parts = []
    for change in changes:
        instead = "" if change.declared is None else f" instead of {change.declared}"
        parts.append(f"{change.label} with {change.parameter.replace('_', ' ')} {change.value}{instead}")
    return [f"This protocol runs {listed(parts)}."]
