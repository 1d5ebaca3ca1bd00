"""What the Snakefile calls: the plan, the inputs of each job, and the jobs themselves."""

from __future__ import annotations

import logging
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError

from trigger_activation.errors import UserError
from trigger_activation.plan import Artifact, build_plan, paths
from trigger_activation.plan.config import load_config
from trigger_activation.plan.config.schema import SLUG
from trigger_activation.plan.costs import ON_GPU, CostModel
from trigger_activation.plan.incomplete import without_missing
from trigger_activation.report.pdf.engine import MISSING_ENGINE, engine_is_there
from trigger_activation.report.wording import duration
from trigger_activation.run.cluster import Cluster, freeze_config, frozen_config
from trigger_activation.run.devices import GpuUse, usable_gpus
from trigger_activation.run.progress import Progress
from trigger_activation.science.datasets import DATASETS
from trigger_activation.store import dvc
from trigger_activation.store.external import EXTERNAL
from trigger_activation.store.freshness import Freshness, Status, Verdict
from trigger_activation.store.lock import RunLock

RECORDS = ("results/specs/spec", "results/logs/log")
"""Where every job leaves something beside its artifact."""
MEMORY_TRIES = 3
"""Tries of a job that ask for more memory than the one before."""


class Workflow:
    """One Snakemake process's view of the project.

    Parsing and planning write nothing inside the project, so a dry run works beside a running one. What a run
    must write before its first job, it writes in :meth:`begin`.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.cluster = Cluster.from_settings(settings)
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
        self.costs = CostModel(self.config)
        self.freshness = Freshness(self.plan, self.complete)
        self.progress = Progress()
        self._planned: dict[str, Artifact] = {}
        self._inputs: set[str] = set()
        self._marker: Marker | None = None
        self._lock = RunLock()

    @property
    def constraints(self) -> dict[str, str]:
        """Wildcard constraints, from the same expression that config names are checked with."""
        names = ("dataset", "protocol", "network", "paradigm", "attack", "column", "experiment", "purifier")
        return {
            **dict.fromkeys(names, SLUG),
            "surrogates": f"(?!measured/){SLUG}",
            "study": "(?!cost/)[a-z]+",
            "split": "train|test",
            "seed": "[0-9]+",
            "table": "|".join(self.config.tables),
            "figure": "|".join(self.config.figures),
        }

    def targets(self) -> list[str]:
        """What the chosen experiment asks for: tables, figures and reports; with ``complete`` every artifact, with
        ``allow_missing`` tables alone."""
        experiment = self.config.experiment
        if self.complete:
            artifacts = self.plan.of_experiment(experiment)
        else:
            asked = [self.plan[path] for path in self.plan.targets[experiment].values()]
            artifacts = [artifact for artifact in asked if artifact.kind == "table" or not self.allow_missing]
        possible = [artifact for artifact in artifacts if artifact.kind != "pdf" or engine_is_there()]
        by_products = [file for artifact in possible for file in artifact.by_products if self.complete]
        return [*by_products, *(file for artifact in possible for file in artifact.files)]

    def inputs(self, pattern: str) -> Callable[[Any], list[str]]:
        """The input function of a rule whose first output is ``pattern``.

        A valid artifact needs nothing, so nothing above it enters the DAG. A stale one needs its inputs and a file
        that is newer than it, which makes Snakemake run its job.
        """

        def function(wildcards: Any) -> list[str]:
            return self._needs(_filled(pattern, wildcards))

        return function

    def resources(self, pattern: str) -> dict[str, Any]:
        """What the jobs of a rule whose first output is ``pattern`` ask a cluster for: more time and memory at each
        attempt, and a GPU where networks run."""

        def minutes(wildcards: Any, attempt: int) -> int:
            return self.cluster.minutes(self.costs.minutes(self.plan[_filled(pattern, wildcards)]) * attempt)

        def memory(wildcards: Any, attempt: int) -> int:
            return self.costs.memory_mib(self.plan[_filled(pattern, wildcards)]) * min(attempt, MEMORY_TRIES)

        def gpu(wildcards: Any) -> int:
            return int(self.gpu is not GpuUse.NONE and self.plan[_filled(pattern, wildcards)].kind in ON_GPU)

        return {"runtime": minutes, "mem_mb": memory, "gpu": gpu, **self.cluster.resources}

    def _needs(self, path: str) -> list[str]:
        if self.allow_missing and self.plan[path].kind == "table":
            self._do_without_missing_cells(path)
        artifact = self.plan[path]
        verdict = self.freshness.verdict(path)
        if verdict.valid:
            return []
        if self.allow_missing and artifact.kind != "table":
            raise UserError(f"allow_missing=true renders tables only: ask for {path} without it")
        self._planned[path] = artifact
        inputs = [*artifact.input_paths, *(artifact.optional_paths if self.complete else ())]
        self._inputs.update(inputs)
        newer = [self._newer_file(artifact)] if verdict.status is Status.STALE else []
        return [*inputs, *newer]

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
        path = Path(paths.rendered(experiment, name, "md"))
        first = path.read_text(encoding="utf-8").partition("\n")[0] if path.exists() else ""
        plain = re.sub(r"\\(.)", r"\1", first.replace("**", ""))
        return re.sub(r"([\\*`|_])", r"\\\1", plain)

    def begin(self) -> None:
        """Before the first job: take the lock, refuse what cannot be made, forgive clocks that ran ahead."""
        try:
            self._lock.acquire()
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
        _silence_scheduler()
        if self._marker is not None:
            self._marker.reset()
        _forgive_future_times(path for path in self._inputs if path not in self._planned)
        for notice in filter(None, (self._offer(), self._tries())):
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
        folders = {path: folder for path in missing if (folder := dvc.folder(path)) and dvc.is_tracked(folder)}
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
        from trigger_activation.run.worker import stop_workers

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Nothing is left to interrupt but the tidying up.
        stop_workers()
        self._lock.release()
        if success:
            print(self.summary())

    def summary(self) -> str:
        """What was made and where to look."""
        made = len(self._planned)
        lines = [f"\n{made} artifact{'s' * (made != 1)} made in {duration(self.progress.elapsed)}."]
        rendered = [path for path in self._planned if path.startswith("paper_tables/")]
        if rendered:
            lines.append("Rendered:")
            lines += [f"  {path}" for path in sorted(rendered)]
        if "pdf" in self.config.experiments[self.config.experiment].reports and not engine_is_there():
            lines.append(f"{paths.rendered(self.config.experiment, 'paper', 'pdf')} was left out: {MISSING_ENGINE}.")
        lines.append(f"`trigact show {self.config.experiment}` prints the tables here.")
        return "\n".join(lines)

    def verdict(self, path: str) -> Verdict:
        """The verdict on one artifact."""
        return self.freshness.verdict(path)


def _filled(pattern: str, wildcards: Any) -> str:
    return pattern.format(**dict(wildcards.items()))


def _switched_on(settings: Mapping[str, Any], name: str) -> bool:
    return str(settings.get(name, False)).lower() == "true"


def _gpu_use(settings: Mapping[str, Any]) -> GpuUse:
    given = settings.get("gpu", GpuUse.OPTIONAL)
    if given not in list(GpuUse):
        raise WorkflowError(f"gpu={given} is not known: it is {', '.join(GpuUse)}")
    return GpuUse(given)


def obstacle(artifact: Artifact) -> str | None:
    """Why an artifact cannot be made here, as a sentence; None if nothing is known to prevent it."""
    if artifact.kind == "pdf" and not engine_is_there():
        return MISSING_ENGINE
    if artifact.kind == "dataset" and artifact.obstacle is None:
        return DATASETS.instance(artifact.parameters["source"]).missing(EXTERNAL)
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
