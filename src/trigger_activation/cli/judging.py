"""``trigact evaluate`` and ``trigact leaderboard``: models of one's own, alone and among the committed defenses."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trigger_activation.errors import UserError, suggest
from trigger_activation.plan import Plan, build_plan, kinds
from trigger_activation.plan.config import load_config
from trigger_activation.plan.config.schema import CLEAN, STANDARD, Config
from trigger_activation.plan.contents import Cell
from trigger_activation.report.leaderboard import Contender, Score, as_csv, as_markdown, rank
from trigger_activation.store.documents import read_document

if TYPE_CHECKING:
    from trigger_activation.api import Evaluation


def evaluate_model(options: argparse.Namespace) -> int:
    """Judge a model that a module of the user's makes."""
    from trigger_activation.api import evaluate

    row = evaluate(
        made_by(options.model, options.here),
        options.protocol,
        attacks=options.attacks,
        name=options.name or options.model,
        family=options.family,
        surrogates=options.surrogates,
        seed=options.seed,
        batch_size=options.batch_size,
        device=options.device,
    )
    print(row)
    if options.json is not None:
        row.write(options.here / options.json)
        print(f"\n`trigact leaderboard {options.protocol} {options.json}` puts it among the committed defenses.")
    return 0


def made_by(reference: str, here: Path) -> Any:
    """The model that a function makes.

    Args:
        reference: ``module:function``, or ``module:model`` for one that is there.
        here: where modules are looked for before anywhere else.

    Raises:
        UserError: there is no such module or name, or the function asks for arguments.
    """
    from torch import nn

    module_name, colon, name = reference.partition(":")
    if not (module_name and colon and name):
        raise UserError(f"{reference!r} names no model: write MODULE:FUNCTION, such as mymodels:make")
    sys.path.insert(0, str(here))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(f"there is no module {error.name} in {here} or installed: go where it lies") from None
    finally:
        sys.path.remove(str(here))
    if not hasattr(module, name):
        known = [known for known in vars(module) if not known.startswith("_")]
        raise UserError(f"the module {module_name} has no {name!r}: {suggest(name, known)}")
    found = getattr(module, name)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise UserError(
            f"{reference} is a {type(found).__name__}: name a function without arguments that makes a model"
        )
    try:
        return found()
    except TypeError as error:
        raise UserError(
            f"{reference}() failed ({error}): name a function without arguments that makes a model"
        ) from error


def show_leaderboard(options: argparse.Namespace) -> int:
    """Print the committed defenses of a protocol and models of one's own, ranked."""
    from trigger_activation.api import Evaluation

    config = load_config(Path("config"))
    if options.protocol not in config.protocols:
        raise UserError(
            f"there is no protocol {options.protocol!r}: {suggest(options.protocol, sorted(config.protocols))}"
        )
    rows = [Evaluation.read(options.here / file) for file in options.rows]
    for file, row in zip(options.rows, rows, strict=True):
        if row.protocol != options.protocol or row.surrogate_paradigm != STANDARD:
            raise UserError(
                f"{file} is of the protocol {row.protocol} and {row.surrogate_paradigm} surrogates: the leaderboard of "
                f"{options.protocol} ranks models by {STANDARD} ones, so evaluate it by these"
            )
    contenders = [*_committed(config, build_plan(config), options.protocol), *map(_own, rows)]
    board = rank(options.protocol, contenders, options.attacks)
    labels = {name: attack.label for name, attack in config.attacks.items()}
    print(as_csv(board) if options.csv else as_markdown(board, labels), end="")
    return 0


def _own(row: Evaluation) -> Contender:
    scores = {
        name: Score(found.all.mean, found.other_families.mean if found.other_families else None)
        for name, found in row.attacks.items()
    }
    return Contender(row.model, True, row.clean.mean, scores)


def _committed(config: Config, plan: Plan, protocol: str) -> Iterator[Contender]:
    """The columns of a protocol whose cells are here, of clean images and of attacks from undefended surrogates."""
    cells: dict[str, dict[str, Cell]] = {}
    for artifact in plan.artifacts.values():
        if artifact.kind is not kinds.CELL or artifact.group != protocol:
            continue
        if artifact.names["surrogates"] in (CLEAN, STANDARD) and Path(artifact.path).exists():
            document = read_document(artifact.path)
            assert document is not None
            cells.setdefault(artifact.names["column"], {})[artifact.names["attack"]] = document.content
    for column, its in cells.items():
        if CLEAN in its and len(its) > 1:
            clean = its.pop(CLEAN)
            yield Contender(_label(config, column), False, clean.means["all"].mean, dict(_scores(its)))


def _scores(cells: Mapping[str, Cell]) -> Iterator[tuple[str, Score]]:
    for attack, cell in cells.items():
        others = cell.means.get("off_diagonal")
        yield attack, Score(cell.means["all"].mean, others.mean if others else None)


def _label(config: Config, column: str) -> str:
    for declared in (config.paradigms, config.preprocessing, config.victims):
        if column in declared:
            return str(declared[column].label)
    return str(config.paradigms[STANDARD].label)
