"""Models of one's own among the committed defenses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trigger_activation.api.library import Library, library
from trigger_activation.api.results import Evaluation
from trigger_activation.errors import UserError
from trigger_activation.plan.config.schema import Config
from trigger_activation.plan.config.values import CLEAN, STANDARD
from trigger_activation.plan.contents import Cell
from trigger_activation.store.documents import read_document

if TYPE_CHECKING:
    from trigger_activation.report.leaderboard import Contender, Leaderboard, Score


def leaderboard(
    protocol: str,
    rows: Sequence[Evaluation] = (),
    *,
    attacks: Sequence[str] | None = None,
    project: str | Path | None = None,
) -> Leaderboard:
    """The defenses of a protocol whose cells are here, and some models, those that keep most under attack first.

    Args:
        protocol: one of ``config/protocols``.
        rows: what :func:`evaluate` found, by undefended surrogates of this protocol.
        attacks: those that count; unless given, all that every defense and model was attacked by.
        project: its folder, see :mod:`trigger_activation.api`.

    Raises:
        UserError: there is no such protocol, no cell, or a row is of another protocol or other surrogates.

    >>> from trigger_activation import evaluate, load_victim
    >>> from trigger_activation.api import leaderboard
    >>> mine = evaluate(load_victim("smoke", "vgg-s", "fixed"), "smoke", attacks=["pgd"], name="mine")
    >>> board = leaderboard("smoke", [mine])
    >>> board.attacks, "mine" in [place.contender.label for place in board.places]
    (['pgd'], True)
    """
    from trigger_activation.report.leaderboard import rank

    found = library(project)
    found.protocol(protocol)
    for row in rows:
        if row.protocol != protocol or row.surrogate_paradigm != STANDARD:
            raise UserError(
                f"{row.model} was judged by the protocol {row.protocol} and {row.surrogate_paradigm} surrogates, but "
                f"{protocol} ranks models by its {STANDARD} ones: evaluate it by these"
            )
    return rank(protocol, [*_committed(found, protocol), *map(_own, rows)], attacks)


def _own(row: Evaluation) -> Contender:
    from trigger_activation.report.leaderboard import Contender, Score

    scores = {
        name: Score(under.all.mean, under.other_families.mean if under.other_families else None)
        for name, under in row.attacks.items()
    }
    return Contender(row.model, True, row.clean.mean, scores)


def _committed(found: Library, protocol: str) -> Iterator[Contender]:
    """The columns whose cells are here, of clean images and of attacks from undefended surrogates."""
    from trigger_activation.report.leaderboard import Contender

    columns: dict[str, dict[str, Cell]] = {}
    for artifact in found.cells(protocol):
        if artifact.names["surrogates"] in (CLEAN, STANDARD) and found.is_here(artifact):
            document = read_document(str(found.path(artifact)))
            assert document is not None
            columns.setdefault(artifact.names["column"], {})[artifact.names["attack"]] = document.content
    for column, cells in columns.items():
        if CLEAN in cells and len(cells) > 1:
            clean = cells.pop(CLEAN)
            yield Contender(label_of(found.config, column), False, clean.means["all"].mean, dict(_scores(cells)))


def _scores(cells: Mapping[str, Cell]) -> Iterator[tuple[str, Score]]:
    from trigger_activation.report.leaderboard import Score

    for attack, cell in cells.items():
        others = cell.means.get("off_diagonal")
        yield attack, Score(cell.means["all"].mean, others.mean if others else None)


def label_of(config: Config, column: str) -> str:
    """What a column of cells is called."""
    for declared in (config.paradigms, config.preprocessing, config.victims):
        if column in declared:
            return str(declared[column].label)
    return str(config.paradigms[STANDARD].label)
