"""What the Snakefile calls: the plan, the inputs of each job, and the jobs themselves."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from snakemake.io import ancient
from snakemake_interface_common.exceptions import WorkflowError

from trigger_activation.errors import UserError, suggest
from trigger_activation.plan import Artifact, build_plan, kinds, wildcards
from trigger_activation.plan.config import load_config
from trigger_activation.plan.config.loader import validate
from trigger_activation.plan.costs import CostModel
from trigger_activation.plan.incomplete import without_missing
from trigger_activation.plan.kind import EACH_TABLE, Kind
from trigger_activation.plan.recipes import DatasetParameters
from trigger_activation.report.pdf.latex import MISSING_ENGINE, engine_is_there
from trigger_activation.report.wording import duration
from trigger_activation.run import published
from trigger_activation.run.cluster import Cluster, freeze_config, frozen_config
from trigger_activation.run.dates import Marker, forgive_future_times
from trigger_activation.run.devices import GpuUse, usable_gpus
from trigger_activation.run.failures import fails_for_good
from trigger_activation.run.progress import PlannedJobs, Progress
from trigger_activation.run.request import DEFAULT, RULES, Asked, Request, RunSettings
from trigger_activation.run.summary import last_lines
from trigger_activation.science.datasets import DATASETS
from trigger_activation.store.atomic import remove_partial
from trigger_activation.store.freshness import Freshness
from trigger_activation.store.lock import RunLock

RECORDS = ("results/specs/spec", "results/logs/log")
"""Where every job leaves something beside its artifact."""
WRITTEN = ("results", "paper_tables")
"""The folders that jobs write to."""
OF_WILDCARDS = Signature([Parameter("wildcards", Parameter.POSITIONAL_OR_KEYWORD)])
"""Of input functions."""
MEMORY_TRIES = 3
"""Tries of a job that ask for more memory than the one before."""


class Workflow:
    """One Snakemake process's view of the project.

    Parsing and planning write nothing inside the project, so a dry run works beside a running one. What a run
    must write before its first job, it writes in :meth:`begin`.
    """

    def __init__(self, settings: Mapping[str, Any], snakemake: Any = None) -> None:
        try:
            self.config = load_config(frozen_config(), settings.get("experiment"))
            given = validate(RunSettings, {"experiment": self.config.experiment, **settings}, "--config")
            if given.complete and given.allow_missing:
                raise UserError("--config: complete=true and allow_missing=true contradict each other: drop one")
            self.plan = build_plan(self.config)
        except UserError as error:
            sys.exit(f"Error: {error}")
        self.cluster = Cluster(snakemake)
        self.gpu, self.complete, self.allow_missing = given.gpu, given.complete, given.allow_missing
        self.costs = CostModel(self.config, self.plan)
        self.freshness = Freshness(self.plan, self.complete)
        self.progress, self._jobs = Progress(), PlannedJobs()
        self._rendered: list[str] = []
        self._planned: dict[str, Artifact] = {}
        self._inputs: set[str] = set()
        self._marker: Marker | None = None
        self._lock = RunLock()
        self._snakemake = snakemake

    @property
    def constraints(self) -> dict[str, str]:
        """Wildcard constraints, from the same expression that config names are checked with."""
        return wildcards.constraints(self.config)

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Tables and figures of the chosen experiment, but those that have the name of a rule -> their paths."""
        return {name: path for name, path in self.plan.targets[self.config.experiment].items() if name not in RULES}

    @property
    def targets(self) -> Callable[[Any], list[str]]:
        """The input function of the rule ``all``: files of all that is asked for."""

        def function(_: Any) -> list[str]:
            artifacts = [self.plan[path] for path in self._default]
            by_products = [file for artifact in artifacts for file in artifact.by_products if self.complete]
            return [*by_products, *(file for artifact in artifacts for file in artifact.files)]

        return self._input_function(function)

    @cached_property
    def _default(self) -> list[str]:
        """What the chosen experiment asks for: tables, figures and reports; with ``complete`` every artifact, with
        ``allow_missing`` tables alone that have any cells. Without LaTeX there is no PDF among them.

        Raises:
            UserError: cells may be missing, and all are.
        """
        chosen = self.config.experiment
        asked = [self.plan[path] for path in self.plan.targets[chosen].values()]
        artifacts = self.plan.of_experiment(chosen) if self.complete else asked
        paths = [artifact.path for artifact in artifacts if self._is_possible(artifact)]
        if self.allow_missing and not paths:
            raise UserError(f"{chosen} has no cell of its tables yet: run without allow_missing to make them")
        return paths

    def _is_possible(self, artifact: Artifact) -> bool:
        if self.allow_missing:
            return artifact.kind is kinds.TABLE and any(map(self._is_valid, artifact.inputs["cells"]))
        return artifact.kind is not kinds.PDF or engine_is_there()

    def _is_valid(self, path: str) -> bool:
        return self.freshness.verdict(path).valid

    def _left_out(self) -> Iterator[str]:
        """Of all that the experiment has, where all was asked for: what was left out and why, a sentence each."""
        chosen = self.config.experiment
        targets = self.plan.targets[chosen] if DEFAULT in self._asked_for.request.targets else {}
        left_out = [name for name, path in targets.items() if path not in self._default]
        if not self.allow_missing and "pdf" in left_out:
            yield f"{targets['pdf']} was left out: {MISSING_ENGINE}."
        tables = [name for name in left_out if name in self.config.experiments[chosen].tables]
        if self.allow_missing and tables:
            yield f"Left out, as none of their cells are here: {', '.join(tables)}."

    @cached_property
    def _asked_for(self) -> Asked:
        """What was typed, of which Snakemake knows only once it has read the rules.

        Raises:
            UserError: it cannot be done.
        """
        asked = Asked(Request.of(self._snakemake), self.plan, self._default, self.aliases, self.complete)
        asked.check_until(self.freshness)
        return asked

    def _input_function(self, function: Callable[[Any], list[str]]) -> Callable[[Any], list[str]]:
        """The same, but a mistake of the user's ends Snakemake with one sentence, without the traceback that it prints.

        Its signature is there to be read, since Snakemake asks for it at each of thousands of calls.
        """

        def guarded(wildcards: Any) -> list[str]:
            try:
                return function(wildcards)
            except UserError as error:
                sys.exit(f"Error: {error}")

        guarded.__signature__ = OF_WILDCARDS  # type: ignore[attr-defined]
        return guarded

    @property
    def refusal(self) -> Callable[[Any], list[str]]:
        """The input function of what no rule makes: it says so, and what is nearest to it."""

        def function(wildcards: Any) -> list[str]:
            raise self._asked_for.unknown(wildcards.unknown)

        return self._input_function(function)

    def needs(self, kind: str, role: str) -> Callable[[Any], list[str]]:
        """The input function of one role of a rule's artifacts.

        A valid artifact needs nothing, so nothing above it enters the DAG.

        Raises:
            WorkflowError: there is no such kind, or it lacks the role.
        """
        rows = self._rows(kind)
        if not all(row.has_role(role) for row in rows):
            raise WorkflowError(f"the kind {kind} has no input of the role {role}: {suggest(role, rows[0].roles)}")

        def function(wildcards: Any) -> list[str]:
            path = _path(rows, wildcards)
            if (artifact := self._asked(path)) is not None:
                self._inputs.update(found := self._inputs_of(artifact, role))
                return found
            drawn = self._inputs_of(self.plan[path], role) if self._asked_for.request.drawn else []
            # Dates of what is valid mean nothing.
            return [ancient(file) for file in drawn]  # type: ignore[no-untyped-call]

        return self._input_function(function)

    def changed(self, kind: str) -> Callable[[Any], list[str]]:
        """The input function of a rule that makes Snakemake run the job of a stale artifact: a file newer than it."""
        rows = self._rows(kind)

        def function(wildcards: Any) -> list[str]:
            artifact = self._asked(_path(rows, wildcards))
            return [self._newer_file(artifact)] if artifact is not None and Path(artifact.path).exists() else []

        return self._input_function(function)

    @staticmethod
    def _rows(kind: str) -> list[Kind]:
        """The rows of a kind, of which it has one for each pattern of its paths.

        Raises:
            WorkflowError: there is none.
        """
        try:
            name = kinds.of_rule(kind).name
        except UserError as error:
            raise WorkflowError(str(error)) from None
        return [row for row in kinds.KINDS if row.name == name]

    @cached_property
    def resources(self) -> dict[str, Any]:
        """What jobs ask a cluster for: more time and memory at each attempt, and a GPU where networks run."""

        def artifact(rulename: str, wildcards: Any) -> Artifact:
            return self.plan[kinds.of_rule(rulename).path(wildcards)]

        def minutes(wildcards: Any, attempt: int, rulename: str) -> int:
            return self.cluster.minutes(self.costs.minutes(artifact(rulename, wildcards)) * attempt)

        def memory(wildcards: Any, attempt: int, rulename: str) -> int:
            return self.costs.memory_mib(artifact(rulename, wildcards)) * min(attempt, MEMORY_TRIES)

        def gpu(wildcards: Any, rulename: str) -> int:
            del wildcards
            return int(self.gpu is not GpuUse.NONE and kinds.of_rule(rulename).runs_networks)

        return {"runtime": minutes, "mem_mb": memory, "gpu": gpu}

    def check(self, rules: Any) -> None:
        """Refuse a rule whose pattern is not its kind's.

        Args:
            rules: all rules, as Snakemake names them in a Snakefile.

        Raises:
            WorkflowError: naming the first such rule, or the first kind without a rule.
        """
        for row in kinds.KINDS:
            try:
                found = [str(file) for file in getattr(rules, row.rule_name).output]
            except WorkflowError:
                raise WorkflowError(
                    f"workflow/rules has no rule {row.rule_name}, which plan/kinds.py has a row for: write it"
                ) from None
            expected = list(row.outputs)
            if found != expected:
                raise WorkflowError(
                    f"workflow/rules: the rule {row.rule_name} makes {found}, but plan/kinds.py says {expected}: "
                    "correct one of them"
                )

    def _asked(self, path: str) -> Artifact | None:
        """The artifact that a job would make, noted as planned; None if it is valid."""
        if path in self._planned:
            return self._planned[path]
        if path not in self.plan.artifacts:
            raise self._asked_for.unknown(path)
        anew = path in self._asked_for.anew
        if self.allow_missing and self.plan[path].kind is kinds.TABLE:
            self._do_without_missing_cells(path)
        artifact = self.plan[path]
        if not anew and self.freshness.verdict(path).valid:
            return None
        if self.allow_missing and artifact.kind is not kinds.TABLE:
            raise UserError(f"allow_missing=true renders tables only: ask for {path} without it")
        self._planned[path] = artifact
        return artifact

    def _inputs_of(self, artifact: Artifact, role: str) -> list[str]:
        anew = not self._asked_for.anew.isdisjoint(artifact.optional_paths)
        optional = artifact.optional if self.complete or anew else {}
        if role == EACH_TABLE:
            return list(artifact.input_paths)
        return [*artifact.inputs.get(role, ()), *optional.get(role, ())]

    def _do_without_missing_cells(self, path: str) -> None:
        table = without_missing(self.plan, self.plan[path], self._is_valid)
        self.plan.artifacts[path] = table

    def _newer_file(self, artifact: Artifact) -> str:
        if self._marker is None:
            self._marker = Marker()
        self._marker.outdate(artifact.files)
        return str(self._marker.path)

    @staticmethod
    def caption(experiment: str, name: str) -> str:
        """For Snakemake's report: the caption of a rendered table or figure as reStructuredText, if it is there."""
        path = Path(kinds.TABLE.path({"experiment": experiment, "table": name})).with_suffix(".md")
        first = path.read_text(encoding="utf-8").partition("\n")[0] if path.exists() else ""
        plain = re.sub(r"\\(.)", r"\1", first.replace("**", ""))
        return re.sub(r"([\\*`|_])", r"\\\1", plain)

    def begin(self) -> None:
        """Before the first job: take the lock, refuse what cannot be made, forgive clocks that ran ahead."""
        from trigger_activation.run import ending

        try:
            self._lock.acquire()
            ending.watch()
            self.cluster.check()
            self.gpu.hand_down()
            if self.gpu is GpuUse.REQUIRED and not self.cluster.is_used:
                usable_gpus()
            for artifact in self._planned.values():
                if reason := obstacle(artifact):
                    raise UserError(f"{artifact.path} cannot be made: {reason}")
            _check_writable([*self._planned, *RECORDS] if self._planned else [])
        except UserError as error:
            raise WorkflowError(str(error)) from None
        if self.cluster.is_used:
            freeze_config()
        self.cluster.end_tries_of(fails_for_good)
        self.cluster.cancel_at_once()
        if self._marker is not None:
            self._marker.reset()
        forgive_future_times(path for path in self._inputs if path not in self._planned)
        instead = published.offer(self.plan, self._planned, self._inputs, self.freshness)
        for notice in filter(None, (*self.plan.notices, instead, self._tries())):
            print(notice, flush=True)
        self.progress.begin(self._jobs.by_kind)

    def _tries(self) -> str | None:
        """If jobs take longer than the cluster lets them: what that means for the longest."""
        hours = {path: self.costs.gpu_hours(artifact) for path, artifact in self._planned.items()}
        longest = max(hours, key=hours.__getitem__, default=None)
        return None if longest is None else self.cluster.notice(longest, hours[longest])

    def make(self, path: str, log: str, cores: int | None) -> None:
        """Run the job of one artifact in a warm worker."""
        from trigger_activation.run.worker import run_job

        artifact = self.plan[path]
        start = time.monotonic()
        try:
            run_job(self.plan, artifact, log, cores or 1)
        except UserError as error:
            raise WorkflowError(str(error)) from None
        self.progress.finished(artifact, time.monotonic() - start)
        self._rendered += [path] if artifact.kind.is_rendered else []

    def end(self, success: bool) -> None:
        """After the last job: stop the workers, give back the lock, say where the results are."""
        from trigger_activation.run import ending
        from trigger_activation.run.worker import stop_workers

        ending.ignore_signals()
        stop_workers()
        if success:
            print(self.summary())
        else:
            remove_partial(map(Path, WRITTEN))
        self._lock.release()

    def summary(self) -> str:
        """What was made, what was found and where to look."""
        done = self._jobs.by_kind.total()
        lines = [f"\n{done} job{'s' * (done != 1)} done in {duration(self.progress.elapsed)}."]
        lines += self._left_out()
        lines += last_lines(self.config.experiment, self.plan.targets[self.config.experiment], self._rendered)
        return "\n".join(lines)


def _path(rows: Sequence[Kind], wildcards: Any) -> str:
    """The path that wildcards fill, by whichever of a kind's patterns has just these."""
    names = dict(wildcards.items())
    (path,) = (row.path(names) for row in rows if row.wildcards == names.keys())
    return path


def obstacle(artifact: Artifact) -> str | None:
    """Why an artifact cannot be made here, as a sentence; None if nothing is known to prevent it."""
    if artifact.kind is kinds.PDF and not engine_is_there():
        return MISSING_ENGINE
    if isinstance(artifact.parameters, DatasetParameters) and artifact.obstacle is None:
        return DATASETS.instance(artifact.parameters.source).missing(kinds.EXTERNAL)
    return artifact.obstacle


def _check_writable(paths: Iterable[str]) -> None:
    """Raise a ``UserError`` if a folder that will be written to is read-only."""
    folders = {next(parent for parent in Path(path).parents if parent.exists()) for path in paths}
    for folder in sorted(folders):
        if not os.access(folder, os.W_OK):
            raise UserError(f"{folder} cannot be written to: check its permissions, or whether its disk is read-only")
