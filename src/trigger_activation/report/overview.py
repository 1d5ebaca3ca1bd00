"""What an experiment costs, how far it is, and which files no experiment asks for; as text."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trigger_activation.plan import Plan
from trigger_activation.plan.config.schema import Config
from trigger_activation.plan.costs import GPU, CostModel, longest_chain
from trigger_activation.plan.graph import Artifact
from trigger_activation.plan.kinds import SHARED
from trigger_activation.store.freshness import Freshness, Status
from trigger_activation.store.records import is_json, read_record, sidecar

EVERY_KIND = ""


@dataclass(frozen=True)
class Totals:
    """A line of the cost table."""

    jobs: int
    hours: float
    size: int
    chain: float

    def __str__(self) -> str:
        """Jobs, GPU hours, GiB, hours of the longest chain."""
        return f"{self.jobs:>8}{self.hours:>12,.1f}{self.size / 2**30:>10.1f}{self.chain:>12,.1f}"


class Hours:
    """What artifacts take: those that are here as measured, the others as estimated and at the pace of the former.

    Args:
        artifacts: those of an experiment.
    """

    def __init__(self, config: Config, freshness: Freshness, artifacts: Iterable[Artifact]) -> None:
        self.model = CostModel(config, freshness.plan)
        self.measured: dict[str, float] = {}
        self._took: dict[str, float] = defaultdict(float)
        self._estimated: dict[str, float] = defaultdict(float)
        for artifact in artifacts:
            took = _measured_hours(artifact) if freshness.verdict(artifact.path).valid else None
            if took is not None:
                self.measured[artifact.path] = took
                self._count(artifact, took)

    def of(self, artifact: Artifact) -> float:
        """Hours of one artifact."""
        took = self.measured.get(artifact.path)
        return self.model.gpu_hours(artifact) * self.pace(artifact.kind.name) if took is None else took

    def pace(self, kind: str = EVERY_KIND) -> float:
        """Hours measured over hours estimated: of a kind, or of all where none of it is here; 1 where nothing is."""
        counted = kind if self._estimated[kind] else EVERY_KIND
        return self._took[counted] / self._estimated[counted] if self._estimated[counted] else 1.0

    def __str__(self) -> str:
        """A sentence on where they are from."""
        estimate = f"Hours of one {GPU}, estimated within a factor of two"
        if not self._estimated[EVERY_KIND]:
            return f"{estimate}; nothing is here yet that tells how long it took."
        return (
            f"{estimate}; what is here (artifacts: {len(self.measured)}) counts with the hours that it took, the rest "
            f"at its pace ({self.pace():.2g} times the estimate)."
        )

    def _count(self, artifact: Artifact, took: float) -> None:
        estimated = self.model.gpu_hours(artifact)
        for kind in (artifact.kind.name, EVERY_KIND) if estimated else ():
            self._took[kind] += took
            self._estimated[kind] += estimated


def cost_table(config: Config, plan: Plan, experiment: str) -> str:
    """Jobs, GPU hours, storage and the longest chain, per kind of artifact and per target."""
    everything = plan.of_experiment(experiment)
    source, model = Hours(config, Freshness(plan), everything), CostModel(config, plan)
    hours = {artifact.path: source.of(artifact) for artifact in everything}

    def totals(artifacts: Iterable[Artifact], targets: Iterable[str] = ()) -> Totals:
        counted = list(artifacts)
        size = sum(model.bytes(artifact) for artifact in counted)
        return Totals(len(counted), sum(hours[a.path] for a in counted), size, longest_chain(plan, hours, targets))

    kinds = dict.fromkeys(artifact.kind.name for artifact in everything)
    targets = plan.targets[experiment]
    lines = [
        f"{source} GiB without networks. The chain is what no number of GPUs shortens.",
        "",
        f"{experiment:<24}{'jobs':>8}{'GPU hours':>12}{'GiB':>10}{'chain':>12}",
        *(f"{kind:<24}{totals(a for a in everything if a.kind.name == kind)}"[:-12] for kind in kinds),
        "",
        *(f"{name:<24}{totals(plan.upstream([path]), [path])}" for name, path in targets.items()),
        f"{'all':<24}{totals(everything, targets.values())}",
    ]
    return "\n".join(lines)


def _measured_hours(artifact: Artifact) -> float | None:
    record = read_record(artifact.path)
    return record.environment.seconds / 3600 if record is not None and record.environment else None


def status_table(config: Config, plan: Plan, experiment: str) -> str:
    """Per target: how many artifacts are here, stale and missing, and the GPU hours that are left, if something is."""
    freshness = Freshness(plan)
    targets = {name: [path] for name, path in plan.targets[experiment].items()}
    targets["all"] = list(plan.targets[experiment].values())
    if next(_to_make(plan, freshness, targets["all"]), None) is None:
        hours, head = None, f"All that {experiment} asks for is here."
    else:
        hours = Hours(config, freshness, plan.of_experiment(experiment))
        head = str(hours)
    lines = [
        head,
        "",
        f"{experiment:<24}{'here':>8}{'stale':>8}{'missing':>9}" + f"{'GPU hours left':>16}" * bool(hours),
    ]
    for name, paths in targets.items():
        counts = Counter(freshness.verdict(artifact.path).status for artifact in plan.upstream(paths))
        line = f"{name:<24}{counts[Status.VALID]:>8}{counts[Status.STALE]:>8}{counts[Status.MISSING]:>9}"
        if hours is not None:
            line += f"{sum(hours.of(artifact) for artifact in _to_make(plan, freshness, paths)):>16,.1f}"
        lines.append(line)
    if hours is None and counts.total() > counts[Status.VALID]:
        lines += ["", "What is missing lies behind cells that are here; only complete=true makes it."]
    return "\n".join(lines)


def _to_make(plan: Plan, freshness: Freshness, targets: Iterable[str]) -> Iterator[Artifact]:
    """What a run would make: nothing above what is valid."""
    stack, seen = list(targets), set()
    while stack:
        path = stack.pop()
        if path in seen or freshness.verdict(path).valid:
            continue
        seen.add(path)
        yield plan[path]
        stack.extend(plan[path].input_paths)


def orphans(plan: Plan) -> Mapping[str, int]:
    """Files of artifacts that no experiment asks for -> their bytes."""
    wanted: set[str] = set()
    for artifact in plan.artifacts.values():
        files = (*artifact.files, *artifact.by_products)
        wanted.update(files, (str(sidecar(file)) for file in files if not is_json(file)))
    folders = [Path("results") / name for name in (*SHARED, "cells")]
    found = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    kept = (".gitignore", ".dvc")
    return {str(p): p.stat().st_size for p in found if str(p) not in wanted and not p.name.endswith(kept)}
