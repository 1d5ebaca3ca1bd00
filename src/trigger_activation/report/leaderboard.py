"""Defenses and models of one's own in one table, those that keep most under attack first."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from trigger_activation.errors import UserError, suggest
from trigger_activation.report.tables.grid import escape_markdown


@dataclass(frozen=True)
class Score:
    """Accuracies in percent, over all surrogates and over those of other families."""

    all: float
    other_families: float | None


@dataclass(frozen=True)
class Contender:
    """One defense, or one model that somebody brought."""

    label: str
    own: bool
    """Whether it is somebody's model, judged by itself, and no column of committed cells."""
    clean: float
    attacks: Mapping[str, Score]


@dataclass(frozen=True)
class Place:
    """One row of a leaderboard."""

    contender: Contender
    mean: Score
    """Over the attacks of the leaderboard."""


@dataclass(frozen=True)
class Leaderboard:
    """Contenders that were attacked by the same attacks."""

    protocol: str
    attacks: list[str]
    places: list[Place]
    left_out: list[str]
    """Labels of those that lack one of these attacks."""


def rank(protocol: str, contenders: Sequence[Contender], attacks: Sequence[str] | None = None) -> Leaderboard:
    """The contenders of a protocol, ranked by their mean over some attacks.

    Args:
        protocol: that all were judged by.
        contenders: in any order.
        attacks: those that count; unless given, all that every contender was attacked by.

    Raises:
        UserError: there is no contender, or no attack that counts.
    """
    if not contenders:
        raise UserError(f"{protocol} has no cells here and no model of your own is named: make tables of it first")
    known = list(dict.fromkeys(attack for each in contenders for attack in each.attacks))
    for attack in attacks or ():
        if attack not in known:
            raise UserError(f"nothing of {protocol} was attacked by {attack!r}: {suggest(attack, known)}")
    counted = list(attacks or [attack for attack in known if all(attack in each.attacks for each in contenders)])
    if not counted:
        raise UserError(f"no attack was run on all defenses of {protocol}: name those that count with `--attacks`")
    ranked = [Place(each, _mean(each, counted)) for each in contenders if set(counted) <= set(each.attacks)]
    left_out = [each.label for each in contenders if not set(counted) <= set(each.attacks)]
    return Leaderboard(protocol, counted, sorted(ranked, key=lambda place: -place.mean.all), left_out)


def _mean(contender: Contender, attacks: Iterable[str]) -> Score:
    scores = [contender.attacks[attack] for attack in attacks]
    others = [score.other_families for score in scores if score.other_families is not None]
    return Score(fmean(score.all for score in scores), fmean(others) if len(others) == len(scores) else None)


def as_csv(board: Leaderboard) -> str:
    """A line for each row, with six decimals."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["defense", "own", "clean", *board.attacks, "mean", "mean_other_families"])
    for place in board.places:
        numbers = [None if number is None else round(number, 6) for number in _numbers(board, place)]
        writer.writerow([place.contender.label, int(place.contender.own), *numbers])
    return out.getvalue()


def as_markdown(board: Leaderboard, labels: Mapping[str, str]) -> str:
    """A caption and a table.

    Args:
        board: the ranking.
        labels: of attacks, by name.
    """
    heads = ["", "Defense", "Clean", *(labels.get(attack, attack) for attack in board.attacks)]
    heads += ["Mean", "Mean, other families"]
    lines = [
        _caption(board),
        "",
        _line(map(escape_markdown, heads)),
        _line(["--:", ":--", *["--:"] * (len(heads) - 2)]),
    ]
    for position, place in enumerate(board.places, start=1):
        label = escape_markdown(place.contender.label)
        numbers = ["-" if number is None else f"{number:.1f}" for number in _numbers(board, place)]
        lines.append(_line([str(position), f"**{label}**" if place.contender.own else label, *numbers]))
    return "\n".join(lines) + "\n"


def _numbers(board: Leaderboard, place: Place) -> list[float | None]:
    under = [place.contender.attacks[attack].all for attack in board.attacks]
    return [place.contender.clean, *under, place.mean.all, place.mean.other_families]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _caption(board: Leaderboard) -> str:
    said = [
        f"Protocol {board.protocol}: accuracy in percent, ranked by the mean over {len(board.attacks)} "
        f"attack{'s' * (len(board.attacks) > 1)} from undefended surrogates.",
        "Committed defenses are means over their networks and seeds; the last column is without surrogates of the "
        "victim's architecture.",
    ]
    if any(place.contender.own for place in board.places):
        said.append(
            "Bold: models of your own, one network each; the last column leaves out surrogates of their family."
        )
    if board.left_out:
        said.append(f"Left out, since an attack is missing: {', '.join(board.left_out)}.")
    return " ".join(said)
