"""What a user reads while a run works: jobs done, and about how long the rest will take."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable

from trigger_activation.plan.graph import Artifact
from trigger_activation.plan.kinds import named
from trigger_activation.report.wording import duration

USUAL_WEIGHT = 0.5
"""Of kinds that name none (see :attr:`Kind.weight`)."""


class Progress:
    """Counts jobs and extrapolates from the ones that are done. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: Counter[str] = Counter()
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._total = self._done = 0
        self._start = time.monotonic()

    def begin(self, planned: Iterable[Artifact]) -> None:
        """Start counting down from what a run will make."""
        self._left = Counter(artifact.kind.name for artifact in planned)
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
