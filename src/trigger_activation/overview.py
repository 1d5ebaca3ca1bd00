"""What an experiment costs, how far it is, and which files no experiment asks for; as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trigger_activation.config.schema import Config
from trigger_activation.plan import Plan
from trigger_activation.plan.artifact import Artifact
from trigger_activation.plan.costs import GPU, CostModel, longest_chain
from trigger_activation.provenance.freshness import Freshness, Status
from trigger_activation.provenance.record import is_json, read_record, sidecar
from trigger_activation.sharing.dvc import CLASSES


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


def cost_table(config: Config, plan: Plan, experiment: str) -> str:
    """Jobs, GPU hours, storage and the longest chain, per kind of artifact and per target."""
    everything = plan.of_experiment(experiment)
    hours, sizes, measured = _costs(config, plan, everything)

    def totals(artifacts: Iterable[Artifact], targets: Iterable[str] = ()) -> Totals:
        paths = [artifact.path for artifact in artifacts]
        chain = longest_chain(plan, hours, targets)
        return Totals(len(paths), sum(hours[p] for p in paths), sum(sizes[p] for p in paths), chain)

    kinds = dict.fromkeys(artifact.kind for artifact in everything)
    targets = plan.targets[experiment]
    lines = [
        f"Hours of one {GPU}, estimated within a factor of two; {measured} of {len(everything)} artifacts are here and "
        "count with the hours that they took. GiB without networks. The chain is what no number of GPUs shortens.",
        "",
        f"{experiment:<24}{'jobs':>8}{'GPU hours':>12}{'GiB':>10}{'chain':>12}",
        *(f"{kind:<24}{totals(a for a in everything if a.kind == kind)}"[:-12] for kind in kinds),
        "",
        *(f"{name:<24}{totals(plan.upstream([path]), [path])}" for name, path in targets.items()),
        f"{'all':<24}{totals(everything, targets.values())}",
    ]
    return "\n".join(lines)


def _costs(config: Config, plan: Plan, artifacts: Iterable[Artifact]) -> tuple[dict[str, float], dict[str, int], int]:
    """Path -> hours, path -> bytes, and how many of them are measured."""
    model, freshness = CostModel(config), Freshness(plan)
    hours, sizes, measured = {}, {}, 0
    for artifact in artifacts:
        took = _measured_hours(artifact) if freshness.verdict(artifact.path).valid else None
        measured += took is not None
        hours[artifact.path] = model.gpu_hours(artifact) if took is None else took
        sizes[artifact.path] = model.bytes(artifact)
    return hours, sizes, measured


def _measured_hours(artifact: Artifact) -> float | None:
    record = read_record(artifact.path)
    return record.environment["seconds"] / 3600 if record is not None and record.environment else None


def status_table(config: Config, plan: Plan, experiment: str) -> str:
    """Per target: how many artifacts are here, stale and missing, and the GPU hours that are left."""
    model, freshness = CostModel(config), Freshness(plan)
    lines = [f"{experiment:<24}{'here':>8}{'stale':>8}{'missing':>9}{'GPU hours left':>16}"]
    for name, path in {**plan.targets[experiment], "all": ""}.items():
        targets = [path] if path else list(plan.targets[experiment].values())
        counts = Counter(freshness.verdict(artifact.path).status for artifact in plan.upstream(targets))
        left = sum(model.gpu_hours(artifact) for artifact in _to_make(plan, freshness, targets))
        lines.append(
            f"{name:<24}{counts[Status.VALID]:>8}{counts[Status.STALE]:>8}{counts[Status.MISSING]:>9}{left:>16,.1f}"
        )
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
    folders = [Path("results") / name for name in (*CLASSES, "cells")]
    found = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    kept = (".gitignore", ".dvc")
    return {str(p): p.stat().st_size for p in found if str(p) not in wanted and not p.name.endswith(kept)}
