"""Models of one's own, alone and among the committed defenses, and cards of what is published."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

from trigger_activation.errors import UserError, suggest
from trigger_activation.plan.config import load_config
from trigger_activation.report.leaderboard import as_csv, as_markdown


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
        raise UserError(f"{reference} is no function but a {type(found).__name__}: name one that makes a model")
    try:
        return found()
    except TypeError as error:
        raise UserError(
            f"{reference}() failed ({error}): name a function without arguments that makes a model"
        ) from error


def show_leaderboard(options: argparse.Namespace) -> int:
    """Print the committed defenses of a protocol and models of one's own, ranked."""
    from trigger_activation.api import Evaluation, leaderboard

    rows = [Evaluation.read(options.here / file) for file in options.rows]
    board = leaderboard(options.protocol, rows, attacks=options.attacks)
    labels = {name: attack.label for name, attack in load_config(Path("config")).attacks.items()}
    print(as_csv(board) if options.csv else as_markdown(board, labels), end="")
    return 0


def show_card(options: argparse.Namespace) -> int:
    """Print what a hub should say of networks or adversarial images."""
    from trigger_activation.api.cards import data_card, model_card

    print((model_card if options.what == "model" else data_card)(options.protocol), end="")
    return 0
