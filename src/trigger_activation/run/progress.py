"""What a user reads while a run works: jobs done, and about how long the rest will take."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping

from snakemake_interface_logger_plugins.common import LogEvent

from trigger_activation.plan.graph import Artifact
from trigger_activation.plan.kinds import KINDS, named
from trigger_activation.report.wording import duration

USUAL_WEIGHT = 0.5
"""Of kinds that name none (see :attr:`Kind.weight`)."""


KINDS_OF_RULES = {kind.rule_name: kind.name for kind in KINDS}
CHATTER = re.compile(r"Select jobs to execute|Execute |Missing metadata for file |\d+ jobs have missing provenance")
"""How Snakemake's lines begin about each job, of which the progress line says more, and about records that it does not
keep here."""


class PlannedJobs(logging.Filter):
    """Listens to Snakemake's log for the jobs of a run, wherever they go; rules that make nothing do not count."""

    def __init__(self) -> None:
        super().__init__()
        self.by_kind: Counter[str] = Counter()
        logging.getLogger("snakemake.logging").addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Take note of what a run begins with, and let through what is worth a line."""
        told = vars(record)
        if told.get("event") == LogEvent.RUN_INFO:
            self.by_kind.clear()
            for rule in KINDS_OF_RULES.keys() & told["stats"].keys():
                self.by_kind[KINDS_OF_RULES[rule]] += told["stats"][rule]
        return CHATTER.match(record.getMessage()) is None


class Progress:
    """Counts jobs and extrapolates from the ones that are done. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: Counter[str] = Counter()
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._total = self._done = 0
        self._start = time.monotonic()

    def begin(self, planned: Mapping[str, int]) -> None:
        """Start counting down from the jobs of a run, by kind."""
        self._left = Counter(planned)
        self._total = self._left.total()
        self._start = time.monotonic()

    def finished(self, artifact: Artifact, seconds: float) -> None:
        """Print one line for a finished job."""
        with self._lock:
            self._done += 1
            self._left[artifact.kind.name] -= 1
            self._seconds[artifact.kind.name].append(seconds)
            width = len(str(self._total))
            line = f"[{self._done:{width}}/{self._total}] {artifact.path}  {seconds:.1f} s"
            if remaining := self._remaining():
                line += f"  (about {duration(remaining)} left)"
            print(line, file=sys.stderr, flush=True)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._start

    def _remaining(self) -> float:
        """Work left over work done, times the time that has passed; 0 while nothing comparable was timed."""
        spent = sum(sum(seconds) for seconds in self._seconds.values())
        scales = [self._mean(kind) / weight for kind in self._seconds if (weight := named(kind).weight)]
        if not spent or not scales:
            return 0.0
        scale = sum(scales) / len(scales)
        left = sum(
            count * (self._mean(kind) if kind in self._seconds else (named(kind).weight or USUAL_WEIGHT) * scale)
            for kind, count in self._left.items()
            if count > 0
        )
        return self.elapsed * left / spent

    def _mean(self, kind: str) -> float:
        return sum(self._seconds[kind]) / len(self._seconds[kind])
