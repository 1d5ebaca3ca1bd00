"""What the wildcards of paths match, and whether each path has one kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args

from trigger_activation.errors import UserError
from trigger_activation.plan.config.schema import Config
from trigger_activation.plan.config.values import SLUG, Knowledge
from trigger_activation.plan.kind import Kind
from trigger_activation.plan.kinds import KINDS

PACKAGE = Path(__file__).parents[1]


def constraints(config: Config) -> dict[str, str]:
    """What wildcards match, by name: slugs, as config checks its names, and of patterns that look alike each its own.

    A checkpoint, a helper network and a network trained elsewhere lie side by side, told apart by names of config.
    """
    slugs = ("dataset", "protocol", "attack", "column", "experiment", "purifier", "objective")
    matched = {
        **dict.fromkeys(slugs, SLUG),
        "network": f"{_none_of(config.helpers, '__')}{SLUG}",
        "paradigm": f"{_none_of(config.victims, '/')}{SLUG}",
        "helper": _one_of(config.helpers),
        "victim": _one_of(config.victims),
        "surrogates": f"(?!measured/){SLUG}",
        "split": "train|test",
        "knows": _one_of(get_args(Knowledge)),
        "seed": "[0-9]+",
        "table": _one_of(config.tables),
        "figure": _one_of(config.figures),
    }
    made = (regex.pattern for kind in KINDS for regex in kind.output_regexes(matched))
    # What is no file of any kind; not outside the project, where a run keeps files of its own.
    return {**matched, "unknown": f"(?!/|(?:{'|'.join(made)})$).+"}


def _one_of(names: Iterable[str]) -> str:
    """A regular expression for these names; for nothing where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def _none_of(names: Iterable[str], following: str) -> str:
    """A lookahead that refuses these names before what follows them."""
    listed = "|".join(map(re.escape, names))
    return f"(?!(?:{listed}){following})" if listed else ""


def check_rows(kinds: Iterable[Kind] = KINDS) -> None:
    """Every kind has its stage.

    Raises:
        UserError: naming the first that does not.
    """
    for kind in kinds:
        module, _, function = kind.stage.partition(":")
        file = PACKAGE / f"{module.replace('.', '/')}.py"
        if not file.exists() or f"def {function}(" not in file.read_text(encoding="utf-8"):
            raise UserError(
                f"plan/kinds.py: the kind {kind.name} names the stage {kind.stage}, which does not exist: write it, or "
                "correct the row"
            )


def check_paths(paths: Mapping[str, Kind], matched: Mapping[str, str], kinds: Iterable[Kind] = KINDS) -> None:
    """Each path is one that its kind's rule makes, and no other kind's.

    Args:
        paths: path -> kind of the artifact there.
        matched: wildcard -> what it matches.
        kinds: all there are.

    Raises:
        UserError: naming the first path of which that is not true.
    """
    rows = [(kind, kind.pattern.partition("{")[0], kind.pattern_regex(matched)) for kind in kinds]
    for path, own in paths.items():
        fitting = [kind for kind, start, regex in rows if path.startswith(start) and regex.fullmatch(path)]
        if fitting != [own]:
            rivals = " and ".join(kind.rule_name for kind in fitting) or "no kind"
            raise UserError(
                f"plan/kinds.py: {path} is to be made as {own.rule_name}, but matches the pattern of {rivals}: let "
                "constraints tell them apart"
            )
