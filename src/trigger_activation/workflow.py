"""What the Snakefile calls: the plan, the inputs of each job, and the jobs themselves."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError

from trigger_activation.config import load_config
from trigger_activation.config.schema import SLUG
from trigger_activation.document.engine import MISSING_ENGINE, engine_is_there
from trigger_activation.errors import UserError
from trigger_activation.lock import RunLock
from trigger_activation.plan import Artifact, build_plan, paths
from trigger_activation.progress import Progress, duration
from trigger_activation.provenance.freshness import Freshness, Status, Verdict


class Workflow:
    """One Snakemake process's view of the project.

    Parsing and planning write nothing inside the project, so a dry run works beside a running one. What a run
    must write before its first job, it writes in :meth:`begin`.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        try:
            self.config = load_config(Path("config"), settings.get("experiment"))
            self.plan = build_plan(self.config)
        except UserError as error:
            raise WorkflowError(str(error)) from None
        self.complete = str(settings.get("complete", False)).lower() == "true"
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
        """What the chosen experiment asks for: tables and figures, or with ``complete`` every artifact."""
        experiment = self.config.experiment
        if self.complete:
            artifacts = self.plan.of_experiment(experiment)
        else:
            artifacts = [self.plan[path] for path in self.plan.targets[experiment].values()]
        possible = [artifact for artifact in artifacts if artifact.kind != "pdf" or engine_is_there()]
        by_products = [file for artifact in possible for file in artifact.by_products if self.complete]
        return [*by_products, *(file for artifact in possible for file in artifact.files)]

    def inputs(self, pattern: str) -> Callable[[Any], list[str]]:
        """The input function of a rule whose first output is ``pattern``.

        A valid artifact needs nothing, so nothing above it enters the DAG. A stale one needs its inputs and a file
        that is newer than it, which makes Snakemake run its job.
        """

        def function(wildcards: Any) -> list[str]:
            return self._needs(pattern.format(**dict(wildcards.items())))

        return function

    def _needs(self, path: str) -> list[str]:
        artifact = self.plan[path]
        verdict = self.freshness.verdict(path)
        if verdict.valid:
            return []
        self._planned[path] = artifact
        inputs = [*artifact.input_paths, *(artifact.optional_paths if self.complete else ())]
        self._inputs.update(inputs)
        newer = [self._newer_file(artifact)] if verdict.status is Status.STALE else []
        return [*inputs, *newer]

    def _newer_file(self, artifact: Artifact) -> str:
        if self._marker is None:
            self._marker = Marker()
        self._marker.outdate(artifact.files)
        return str(self._marker.path)

    @staticmethod
    def caption(experiment: str, name: str) -> str:
        """For Snakemake's report: the caption of a rendered table or figure as plain text, if it is there."""
        path = Path(paths.rendered(experiment, name, "md"))
        first = path.read_text(encoding="utf-8").partition("\n")[0] if path.exists() else ""
        return re.sub(r"\\(.)", r"\1", first.replace("**", ""))

    def begin(self) -> None:
        """Before the first job: take the lock, refuse what cannot be made, forgive clocks that ran ahead."""
        try:
            self._lock.acquire()
            for artifact in self._planned.values():
                obstacle = MISSING_ENGINE if artifact.kind == "pdf" and not engine_is_there() else artifact.obstacle
                if obstacle:
                    raise UserError(f"{artifact.path} cannot be made: {obstacle}")
            _check_writable(self._planned)
        except UserError as error:
            raise WorkflowError(str(error)) from None
        _silence_scheduler()
        if self._marker is not None:
            self._marker.reset()
        _forgive_future_times(path for path in self._inputs if path not in self._planned)
        self.progress.begin(self._planned.values())

    def make(self, path: str, log: str, cores: int) -> None:
        """Run the job of one artifact in a warm worker."""
        from trigger_activation.worker import run_job

        artifact = self.plan[path]
        start = time.monotonic()
        try:
            run_job(self.plan, artifact, log, cores)
        except UserError as error:
            raise WorkflowError(str(error)) from None
        self.progress.finished(artifact, time.monotonic() - start)

    def end(self, success: bool) -> None:
        """After the last job: stop the workers, give back the lock, say where the results are."""
        from trigger_activation.worker import stop_workers

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
