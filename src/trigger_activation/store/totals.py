"""What a run took: the records of all its artifacts added up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trigger_activation.plan.contents import CodeState, KindTotal, RunTotals
from trigger_activation.store.environment import Environment
from trigger_activation.store.records import Record


def summarise(records: Iterable[Record]) -> RunTotals:
    """Time and memory of each kind of artifact, and all the devices, commits and packages that took part.

    Args:
        records: those without an environment, of files in git, are left out.
    """
    timed = [(record.kind, record.environment) for record in records if record.environment]
    by_kind: dict[str, list[Environment]] = {}
    for kind, environment in timed:
        by_kind.setdefault(kind, []).append(environment)
    environments = [environment for _, environment in timed]
    commits = dict.fromkeys((e.commit, e.dirty) for e in environments)
    return RunTotals(
        kinds=[_total(kind, those) for kind, those in by_kind.items()],
        devices=sorted({environment.device for environment in environments}),
        arithmetic=sorted({environment.arithmetic for environment in environments} - {""}),
        machines=len({environment.host for environment in environments}),
        commits=[CodeState(commit=commit, dirty=dirty) for commit, dirty in commits],
        packages=_versions(environments),
    )


def _total(kind: str, environments: Sequence[Environment]) -> KindTotal:
    """Of one kind: seconds of all jobs together, and the memory of the largest."""
    return KindTotal(
        kind=kind,
        artifacts=len(environments),
        seconds=round(sum(e.seconds for e in environments), 3),
        cpu_seconds=round(sum(e.cpu_seconds for e in environments), 3),
        peak_memory_mib=max(e.peak_memory_mib for e in environments),
    )


def _versions(environments: Sequence[Environment]) -> dict[str, list[str]]:
    """Package -> the versions that were used, Python among them."""
    used = [{"python": e.python, **e.packages} for e in environments]
    names = dict.fromkeys(name for versions in used for name in versions)
    return {name: sorted({versions[name] for versions in used if name in versions}) for name in names}
