"""What a run would make although others have published it."""

from __future__ import annotations

from collections.abc import Collection, Set

from trigger_activation.plan import Plan, kinds
from trigger_activation.store import dvc
from trigger_activation.store.freshness import Freshness, Status


def offer(plan: Plan, planned: Collection[str], inputs: Set[str], freshness: Freshness) -> str | None:
    """If a run makes what may be had instead: how to fetch it.

    Args:
        plan: of the project.
        planned: paths of all that the run makes.
        inputs: paths that some of these are made from.
        freshness: of the project.
    """
    missing = [path for path in planned if freshness.verdict(path).status is Status.MISSING]
    published = {path for path in missing if dvc.may_be_published(path)}
    if not published:
        return None
    places = ", ".join(sorted({str(kinds.shared_folder(path)) for path in published}))
    what = "1 artifact is" if len(published) == 1 else f"{len(published)} artifacts are"
    ends = _ends(plan, [path for path in planned if path not in inputs], published)
    return (
        f"{what} not here, though {places} is published: stop with Ctrl-C and run "
        f"`trigact pull {' '.join(ends)}` to fetch what is there instead of making it again."
    )


def _ends(plan: Plan, ends: list[str], needed: Set[str]) -> list[str]:
    """Few of the artifacts that nothing else is made from, so that all needed ones lie above them."""
    above = {end: needed & {artifact.path for artifact in plan.upstream([end])} for end in ends}
    chosen: list[str] = []
    left = set(needed)
    for end in sorted(ends, key=lambda path: -len(above[path])):
        if above[end] & left:
            chosen.append(end)
            left -= above[end]
    return chosen
