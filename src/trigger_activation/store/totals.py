"""What a run took: the records of all its artifacts added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trigger_activation.store.records import Record

Environment = Mapping[str, Any]


def summarise(records: Iterable[Record]) -> dict[str, Any]:
    """Time and memory of each kind of artifact, and all the devices, commits and packages that took part.

    Args:
        records: those without an environment, of files in git, are left out.
    """
    timed = [(record.kind, record.environment) for record in records if record.environment]
    by_kind: dict[str, list[Environment]] = {}
    for kind, environment in timed:
        by_kind.setdefault(kind, []).append(environment)
    environments = [environment for _, environment in timed]
    return {
        "kinds": [{"kind": kind, **_total(those)} for kind, those in by_kind.items()],
        "devices": sorted({environment["device"] for environment in environments}),
        "machines": len({environment["host"] for environment in environments}),
        "commits": [
            {"commit": commit, "dirty": dirty}
            for commit, dirty in dict.fromkeys((e["commit"], e["dirty"]) for e in environments)
        ],
        "packages": _versions(environments),
    }


def _total(environments: Sequence[Environment]) -> dict[str, Any]:
    """Of one kind: seconds of all jobs together, and the memory of the largest."""
    return {
        "artifacts": len(environments),
        "seconds": round(sum(e["seconds"] for e in environments), 3),
        "cpu_seconds": round(sum(e["cpu_seconds"] for e in environments), 3),
        "peak_memory_mib": max(e["peak_memory_mib"] for e in environments),
    }


def _versions(environments: Sequence[Environment]) -> dict[str, list[str]]:
    """Package -> the versions that were used, Python among them."""
    used = [{"python": e["python"], **e["packages"]} for e in environments]
    names = dict.fromkeys(name for versions in used for name in versions)
    return {name: sorted({versions[name] for versions in used if name in versions}) for name in names}
