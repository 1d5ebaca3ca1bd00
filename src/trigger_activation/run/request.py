"""What the user typed: the settings of ``--config``, and what Snakemake was told to make anew.

Input functions see the rest of the command line in attributes of Snakemake's workflow object that it does not document.
They are read here alone; pyproject.toml pins the version that has them, and another one is refused.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from trigger_activation.errors import UserError
from trigger_activation.plan import Plan, kinds
from trigger_activation.plan.config import schema
from trigger_activation.run.devices import GpuUse
from trigger_activation.store.freshness import Freshness

DEFAULT = "all"
"""The rule that is asked for where no target is named."""
RULES = {kind.rule_name for kind in kinds.KINDS}
DECIDING = {"mtime"}
"""The one trigger of reruns that Snakemake cannot be freed of, and that this project makes use of."""


def _parse_switch(value: object) -> bool:
    words = {"true": True, "false": False}
    if str(value).lower() not in words:
        raise ValueError(f"it is true or false, not {value!r}")
    return words[str(value).lower()]


Switch = Annotated[bool, BeforeValidator(_parse_switch)]
"""As ``--config`` brings it along: a word."""


class RunSettings(schema.Settings):
    """What ``--config`` and a profile's settings may say."""

    allow_missing: Switch = False
    complete: Switch = False
    gpu: Annotated[GpuUse, Field(strict=False)] = GpuUse.OPTIONAL


@dataclass(frozen=True)
class Request:
    """The part of a command line that decides which artifacts are made."""

    targets: frozenset[str] = frozenset({DEFAULT})
    """Rules and files."""
    forced: frozenset[str] = frozenset()
    """Rules and files to make anew, with all that is made from them."""
    everything: bool = False
    """Whether all that lies behind the targets is made anew."""
    until: frozenset[str] = frozenset()
    """Rules and files to stop at."""
    omitted: frozenset[str] = frozenset()
    """Rules and files to leave out, with all that is made from them."""
    drawn: bool = False
    """Whether nothing is made, and the graph is drawn instead."""

    @classmethod
    def of(cls, workflow: Any) -> Request:
        """Of the process that a user started; jobs that it starts are told what to make, and so are empty.

        Args:
            workflow: Snakemake's, once its command line is known; None outside Snakemake.

        Raises:
            UserError: an option means nothing here, or Snakemake is of a version that does not tell.
        """
        if workflow is None or not workflow.is_main_process:
            return cls()
        try:
            asked = workflow.dag_settings
            triggers = {str(trigger) for trigger in asked.rerun_triggers}
            touched = workflow.touch
            targets = frozenset(asked.targets) or frozenset({DEFAULT})
            request = cls(
                targets=targets,
                forced=frozenset(asked.forcerun) | (targets if asked.forcetargets else frozenset()),
                everything=asked.forceall,
                until=frozenset(asked.until),
                omitted=frozenset(asked.omit_from),
                drawn=asked.print_dag_as is not None or _asks_for_a_report(sys.argv[1:]),
            )
        except AttributeError as error:
            raise UserError(
                f"this version of Snakemake does not say what was typed ({error}): install the one that "
                "requirements.lock names"
            ) from None
        if touched:
            raise UserError(
                "--touch makes nothing current here, where recipes decide and dates do not: leave it out, and "
                "`trigact explain PATH` says why a file is made"
            )
        if triggers != DECIDING:
            raise UserError(
                f"--rerun-triggers {' '.join(sorted(triggers))} decides nothing here, where recipes cover parameters, "
                "inputs and versions of code: leave it out, and use -f TARGET, -R RULE or -F to make something anew"
            )
        return request


def _asks_for_a_report(options: Sequence[str]) -> bool:
    """Whether a command line makes Snakemake's report and nothing else, which no attribute tells."""
    names = {option.partition("=")[0] for option in options}
    return not names.isdisjoint({"--report", "--reporter"}) and "--report-after-run" not in names


class Asked:
    """A request in terms of the plan.

    Args:
        request: what was typed.
        plan: all artifacts, inputs before what is made from them.
        default: paths that the rule ``all`` stands for.
        aliases: name of a table or figure of the experiment -> its path.
        complete: whether artifacts are made that others only show where they are there.

    Raises:
        UserError: something that was named does not exist, or nothing that is asked for rests on it.
    """

    def __init__(
        self, request: Request, plan: Plan, default: Sequence[str], aliases: Mapping[str, str], complete: bool
    ) -> None:
        self.request = request
        self.plan = plan
        self.complete = complete
        self._stands_for = {DEFAULT: list(default), **{name: [path] for name, path in aliases.items()}}
        self._behind = self._all_behind()
        for name in sorted(request.until | request.omitted):
            self._named(name)
        self.anew = self._made_anew()
        """Paths of what is made although it may be valid: what was asked for, and all that is made from it."""

    def _all_behind(self) -> set[str]:
        """What the targets are made from, and what they show only where it is there."""
        files = (self.request.targets | self.request.forced | self.request.until) - RULES
        ends = [path for name in files for path in self._paths(name)]
        shown = [path for end in ends for path in self.plan[end].optional_paths]
        return {artifact.path for artifact in self.plan.upstream([*ends, *shown])}

    def _paths(self, target: str) -> list[str]:
        try:
            return self._stands_for.get(target) or [self.plan.owner(os.path.relpath(target)).path]
        except UserError:
            raise self.unknown(target) from None

    def _named(self, name: str) -> set[str]:
        """The artifacts that a rule or a target stands for, of a rule those behind what is asked for."""
        if name not in RULES:
            return set(self._paths(name))
        found = {path for path in self._behind if self.plan[path].kind.rule_name == name}
        if not found:
            raise UserError(f"nothing that is asked for rests on the rule {name}: leave it out, or name other targets")
        return found

    def _made_anew(self) -> set[str]:
        artifacts = self.plan.artifacts.values()
        if self.request.everything:
            return set(self.plan.artifacts)
        found = {path for name in self.request.forced for path in self._named(name)}
        left = set() if self.complete else {path for artifact in artifacts for path in artifact.optional_paths}
        for artifact in artifacts:
            if artifact.path not in left and not found.isdisjoint((*artifact.input_paths, *artifact.optional_paths)):
                found.add(artifact.path)
        return found

    def check_until(self, freshness: Freshness) -> None:
        """Refuse to stop at what is missing but not made, because what is made from it is there.

        Raises:
            UserError: saying how to make it.
        """
        for name in sorted(self.request.until & RULES):
            found = self._named(name)
            if found.isdisjoint(self._planned(freshness)) and not all(freshness.verdict(path).valid for path in found):
                raise UserError(
                    f"--until {name}: what is asked for needs none of these anew: add --config complete=true to make "
                    "what lies behind it too"
                )

    def _planned(self, freshness: Freshness) -> set[str]:
        """What a run would make, all bounds left aside."""
        planned: set[str] = set()
        waiting = [path for name in self.request.targets - RULES for path in self._paths(name)]
        while waiting:
            path = waiting.pop()
            if path not in planned and (path in self.anew or not freshness.verdict(path).valid):
                planned.add(path)
                waiting += self.plan[path].input_paths
                waiting += self.plan[path].optional_paths if self.complete else ()
        return planned

    def unknown(self, target: str) -> UserError:
        """That a target does not exist, and what is nearest to it."""
        files = (file for artifact in self.plan.artifacts.values() for file in (*artifact.files, *artifact.by_products))
        near = next(filter(None, (get_close_matches(target, names) for names in (self._stands_for, RULES, files))), [])
        remedy = (
            f"did you mean {' or '.join(near)}?" if near else "`trigact plan EXPERIMENT --full` lists what it makes"
        )
        return UserError(f"{target} is nothing that this workflow makes: {remedy}")
