"""What the Snakefile calls: the plan, the inputs of each job, and the jobs themselves."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.workflow import WorkflowExecutorInterface

from trigger_activation.errors import UserError, suggest
from trigger_activation.plan import Artifact, build_plan, kinds, wildcards
from trigger_activation.plan.config import load_config
from trigger_activation.plan.costs import CostModel
from trigger_activation.plan.incomplete import without_missing
from trigger_activation.plan.kind import EACH_TABLE, Kind
from trigger_activation.plan.recipes import DatasetParameters
from trigger_activation.report.pdf.latex import MISSING_ENGINE, engine_is_there
from trigger_activation.report.wording import duration
from trigger_activation.run.cluster import Cluster, freeze_config, frozen_config
from trigger_activation.run.devices import GpuUse, usable_gpus
from trigger_activation.run.failures import fails_for_good
from trigger_activation.run.progress import Progress
from trigger_activation.science.datasets import DATASETS
from trigger_activation.store import dvc
from trigger_activation.store.atomic import remove_partial
from trigger_activation.store.freshness import Freshness, Status, Verdict
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

    def __init__(self, settings: Mapping[str, Any], snakemake: WorkflowExecutorInterface | None = None) -> None:
        self.cluster = Cluster(snakemake)
        try:
            self.config = load_config(frozen_config(), settings.get("experiment"))
            self.plan = build_plan(self.config)
        except UserError as error:
            raise WorkflowError(str(error)) from None
        self.gpu = _gpu_use(settings)
        self.complete = _switched_on(settings, "complete")
        self.allow_missing = _switched_on(settings, "allow_missing")
        if self.complete and self.allow_missing:
            raise WorkflowError("complete=true and allow_missing=true contradict each other: drop one of them")
        self.costs = CostModel(self.config, self.plan)
        self.freshness = Freshness(self.plan, self.complete)
        self.progress = Progress()
        self._planned: dict[str, Artifact] = {}
        self._inputs: set[str] = set()
        self._marker: Marker | None = None
        self._lock = RunLock()

    @property
    def constraints(self) -> dict[str, str]:
        """Wildcard constraints, from the same expression that config names are checked with."""
        return wildcards.constraints(self.config)

    def targets(self) -> list[str]:
        """What the chosen experiment asks for: tables, figures and reports; with ``complete`` every artifact, with
        ``allow_missing`` tables alone."""
        experiment = self.config.experiment
        if self.complete:
            artifacts = self.plan.of_experiment(experiment)
        else:
            asked = [self.plan[path] for path in self.plan.targets[experiment].values()]
            artifacts = [artifact for artifact in asked if artifact.kind is kinds.TABLE or not self.allow_missing]
        possible = [artifact for artifact in artifacts if artifact.kind is not kinds.PDF or engine_is_there()]
        by_products = [file for artifact in possible for file in artifact.by_products if self.complete]
        return [*by_products, *(file for artifact in possible for file in artifact.files)]

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
            artifact = self._asked(_path(rows, wildcards))
            return [] if artifact is None else self._inputs_of(artifact, role)

        return _of_wildcards(function)

    def changed(self, kind: str) -> Callable[[Any], list[str]]:
        """The input function of a rule that makes Snakemake run the job of a stale artifact: a file newer than it."""
        rows = self._rows(kind)

        def function(wildcards: Any) -> list[str]:
            artifact = self._asked(_path(rows, wildcards))
            stale = artifact is not None and self.freshness.verdict(artifact.path).status is Status.STALE
            return [self._newer_file(artifact)] if artifact is not None and stale else []

        return _of_wildcards(function)

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
            expected = [row.pattern, *row.companions, *row.by_products]
            if found != expected:
                raise WorkflowError(
                    f"workflow/rules: the rule {row.rule_name} makes {found}, but plan/kinds.py says {expected}: "
                    "correct one of them"
                )

    def _asked(self, path: str) -> Artifact | None:
        """The artifact that a job would make, noted as planned; None if it is valid."""
        if path in self._planned:
            return self._planned[path]
        if self.allow_missing and self.plan[path].kind is kinds.TABLE:
            self._do_without_missing_cells(path)
        artifact = self.plan[path]
        if self.freshness.verdict(path).valid:
            return None
        if self.allow_missing and artifact.kind is not kinds.TABLE:
            raise UserError(f"allow_missing=true renders tables only: ask for {path} without it")
        self._planned[path] = artifact
        return artifact

    def _inputs_of(self, artifact: Artifact, role: str) -> list[str]:
        optional = artifact.optional if self.complete else {}
        if role == EACH_TABLE:
            found = list(artifact.input_paths)
        else:
            found = [*artifact.inputs.get(role, ()), *optional.get(role, ())]
        self._inputs.update(found)
        return found

    def _do_without_missing_cells(self, path: str) -> None:
        table = without_missing(self.plan, self.plan[path], lambda cell: self.freshness.verdict(cell).valid)
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
        _silence_scheduler()
        if self._marker is not None:
            self._marker.reset()
        _forgive_future_times(path for path in self._inputs if path not in self._planned)
        for notice in filter(None, (*self.plan.notices, self._offer(), self._tries())):
            print(notice, flush=True)
        self.progress.begin(self._planned.values())

    def _tries(self) -> str | None:
        """If jobs take longer than the cluster lets them: what that means for the longest."""
        hours = {path: self.costs.gpu_hours(artifact) for path, artifact in self._planned.items()}
        longest = max(hours, key=hours.__getitem__, default=None)
        return None if longest is None else self.cluster.notice(longest, hours[longest])

    def _offer(self) -> str | None:
        """If this run makes again what others may have published: how to fetch that instead."""
        missing = [path for path in self._planned if self.freshness.verdict(path).status is Status.MISSING]
        folders = {path: folder for path in missing if (folder := kinds.shared_folder(path)) and dvc.is_tracked(folder)}
        if not folders:
            return None
        places = ", ".join(sorted({str(folder) for folder in folders.values()}))
        return (
            f"{len(folders)} artifacts are not here, though {places} is published: stop with Ctrl-C and run "
            f"`trigact pull {' '.join(self._ends(set(folders)))}` to fetch what is there instead of making it again."
        )

    def _ends(self, needed: set[str]) -> list[str]:
        """Few of the planned artifacts that nothing else is made from, so that all needed ones lie above them."""
        ends = [path for path in self._planned if path not in self._inputs]
        above = {end: needed & {artifact.path for artifact in self.plan.upstream([end])} for end in ends}
        chosen: list[str] = []
        left = needed
        for end in sorted(ends, key=lambda path: -len(above[path])):
            if above[end] & left:
                chosen.append(end)
                left = left - above[end]
        return chosen

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
        """What was made and where to look."""
        made = len(self._planned)
        lines = [f"\n{made} artifact{'s' * (made != 1)} made in {duration(self.progress.elapsed)}."]
        rendered = [path for path in self._planned if self.plan[path].kind.is_rendered]
        if rendered:
            lines.append("Rendered:")
            lines += [f"  {path}" for path in sorted(rendered)]
        if "pdf" in self.config.experiments[self.config.experiment].reports and not engine_is_there():
            lines.append(f"{kinds.PDF.path({'experiment': self.config.experiment})} was left out: {MISSING_ENGINE}.")
        lines.append(f"`trigact show {self.config.experiment}` prints the tables here.")
        return "\n".join(lines)

    def verdict(self, path: str) -> Verdict:
        """The verdict on one artifact."""
        return self.freshness.verdict(path)


def _of_wildcards(function: Callable[[Any], list[str]]) -> Callable[[Any], list[str]]:
    """The same, with a signature to read: Snakemake asks for it at each of thousands of calls."""
    function.__signature__ = OF_WILDCARDS  # type: ignore[attr-defined]
    return function


def _path(rows: Sequence[Kind], wildcards: Any) -> str:
    """The path that wildcards fill, by whichever of a kind's patterns has just these."""
    names = dict(wildcards.items())
    (path,) = (row.path(names) for row in rows if row.wildcards == names.keys())
    return path


def _switched_on(settings: Mapping[str, Any], name: str) -> bool:
    return str(settings.get(name, False)).lower() == "true"


def _gpu_use(settings: Mapping[str, Any]) -> GpuUse:
    given = settings.get("gpu", GpuUse.OPTIONAL)
    if given not in list(GpuUse):
        raise WorkflowError(f"gpu={given} is not known: it is {', '.join(GpuUse)}")
    return GpuUse(given)


def obstacle(artifact: Artifact) -> str | None:
    """Why an artifact cannot be made here, as a sentence; None if nothing is known to prevent it."""
    if artifact.kind is kinds.PDF and not engine_is_there():
        return MISSING_ENGINE
    if isinstance(artifact.parameters, DatasetParameters) and artifact.obstacle is None:
        return DATASETS.instance(artifact.parameters.source).missing(kinds.EXTERNAL)
    return artifact.obstacle


class Marker:
    """A file outside the project that is newer than every stale artifact of this process."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="trigact-")
        self.path = Path(self._folder.name) / "recipe-changed"
        self.path.touch()

    def outdate(self, files: Iterable[str]) -> None:
        """Make the marker newer than these files, even if a clock dated them in the future."""
        newest = max((path.stat().st_mtime for path in map(Path, files) if path.exists()), default=0.0)
        if newest >= self.path.stat().st_mtime:
            os.utime(self.path, (newest + 1, newest + 1))

    def reset(self) -> None:
        """Date the marker now: Snakemake discards the output of a job whose input lies in the future."""
        os.utime(self.path)


def _check_writable(paths: Iterable[str]) -> None:
    """Raise a ``UserError`` if a folder that will be written to is read-only."""
    folders = {next(parent for parent in Path(path).parents if parent.exists()) for path in paths}
    for folder in sorted(folders):
        if not os.access(folder, os.W_OK):
            raise UserError(f"{folder} cannot be written to: check its permissions, or whether its disk is read-only")


def _silence_scheduler() -> None:
    """Leave out the scheduler's two lines about each job: the progress line says more."""
    chatter = ("Select jobs to execute", "Execute ")
    logging.getLogger("snakemake.logging").addFilter(lambda record: not record.getMessage().startswith(chatter))


def _forgive_future_times(paths: Iterable[str]) -> None:
    now = time.time()
    for path in paths:
        if Path(path).exists() and Path(path).stat().st_mtime > now:
            os.utime(path, (now, now))
