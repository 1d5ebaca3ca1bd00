"""What each command of ``trigact`` does, in the project's folder; it returns the exit status."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from trigger_activation.errors import UserError, suggest
from trigger_activation.plan import Artifact, Plan, build_plan, kinds
from trigger_activation.plan.config import load_config
from trigger_activation.plan.config.schema import Config
from trigger_activation.plan.contents import Cell
from trigger_activation.plan.kinds import named
from trigger_activation.plan.sharing import in_repository
from trigger_activation.report.overview import cost_table, orphans, status_table
from trigger_activation.report.terminal import RenderedTable
from trigger_activation.store import fingerprints
from trigger_activation.store.documents import read_document
from trigger_activation.store.environment import processor_name
from trigger_activation.store.freshness import Freshness
from trigger_activation.store.lock import RunLock
from trigger_activation.store.records import is_json
from trigger_activation.store.verification import audit, origins, rendered_without_cells

UNBROKEN = 10_000
"""Width of what is no terminal."""


def _plan() -> Plan:
    return _config_and_plan()[1]


def _config_and_plan() -> tuple[Config, Plan]:
    config = load_config(Path("config"))
    return config, build_plan(config)


def _targets(plan: Plan, experiment: str) -> dict[str, str]:
    if experiment not in plan.targets:
        raise UserError(f"there is no experiment {experiment!r}: {suggest(experiment, sorted(plan.targets))}")
    return plan.targets[experiment]


def _artifacts(experiment: str | None) -> tuple[Plan, list[Artifact]]:
    """The plan, and its artifacts of one experiment or of all."""
    plan = _plan()
    return plan, _artifacts_of(plan, experiment)


def _artifacts_of(plan: Plan, experiment: str | None) -> list[Artifact]:
    if experiment is None:
        return list(plan.artifacts.values())
    _targets(plan, experiment)
    return plan.of_experiment(experiment)


def show_plan(options: argparse.Namespace) -> int:
    """Print the counts per kind and table, or everything."""
    config, plan = _config_and_plan()
    targets = _targets(plan, options.experiment)
    if options.cost:
        print(cost_table(config, plan, options.experiment))
        return 0
    if options.full:
        for artifact in plan.of_experiment(options.experiment):
            print(f"{artifact.kind.name:<11}{artifact.recipe[:12]}  {artifact.path}")
        return 0
    per_target = {name: _counts(plan.upstream([path])) for name, path in targets.items()}
    per_target["all"] = _counts(plan.of_experiment(options.experiment))
    shown = [kind for kind in per_target["all"] if not named(kind).is_rendered]
    print(f"{options.experiment:<12}" + "".join(f"{kind:>12}" for kind in shown))
    for name, counts in per_target.items():
        print(f"{name:<12}" + "".join(f"{counts[kind] or '-':>12}" for kind in shown))
    if missing := sorted({a.obstacle for a in plan.of_experiment(options.experiment) if a.obstacle}):
        print("\nNot implemented yet:", *missing, sep="\n  ")
    return 0


def show_status(options: argparse.Namespace) -> int:
    """Print how far each target is."""
    config, plan = _config_and_plan()
    _targets(plan, options.experiment)
    print(status_table(config, plan, options.experiment))
    return 0


def collect_garbage(options: argparse.Namespace) -> int:
    """Print what no plan contains, and delete it on request, unless a run is writing here."""
    lock = RunLock()
    if options.delete:
        lock.acquire()
    found = orphans(_plan())
    for path in found:
        print(path)
        if options.delete:
            Path(path).unlink()
    lock.release()
    done = "deleted" if options.delete else "found that no experiment asks for"
    print(f"{len(found)} files {done}, {sum(found.values()) / 2**20:.1f} MiB.")
    return 0


def _counts(artifacts: Iterable[Artifact]) -> Counter[str]:
    return Counter(artifact.kind.name for artifact in artifacts)


def explain_target(options: argparse.Namespace) -> int:
    """Print the verdict on a target and on what it depends on."""
    plan = _plan()
    freshness = Freshness(plan)
    path = plan.owner(*options.paths).path
    verdict = freshness.verdict(path)
    print(f"{path} is {verdict.status}: {verdict.reason}.")
    if verdict.valid:
        return 0
    upstream = [a.path for a in plan.upstream([path]) if a.path != path]
    invalid = [parent for parent in upstream if not freshness.verdict(parent).valid]
    if invalid:
        print(f"Of {len(upstream)} artifacts that it depends on, {len(invalid)} are not valid:")
    for parent in invalid:
        print(f"  {parent} is {freshness.verdict(parent).status}: {freshness.verdict(parent).reason}")
    return 0


def verify_bytes(options: argparse.Namespace) -> int:
    """Audit everything that exists; exit 1 if something is damaged or stale."""
    plan, artifacts = _artifacts(options.experiment)
    freshness = Freshness(plan)
    incomplete = rendered_without_cells(plan, artifacts, freshness)
    artifacts = [plan[artifact.path] for artifact in artifacts]
    problems = [problem for artifact in artifacts for problem in audit(artifact, freshness)]
    for problem in problems:
        print(problem)
    for path in incomplete:
        print(f"{path} is incomplete, as it says: some of its cells are not computed yet.")
    present = sum(Path(path).exists() for artifact in artifacts for path in (artifact.path, *artifact.by_products))
    told = list(origins(artifacts))
    for sentence in told:
        print(sentence)
    if told:
        print(f"This machine: {processor_name()}. Equal bytes are expected on the same kind of processor only.")
    print(f"{present} artifacts verified, {len(problems)} problems.")
    return 1 if problems else 0


def show_tables(options: argparse.Namespace) -> int:
    """Print the rendered tables, and where figures are."""
    plan = _plan()
    targets = _targets(plan, options.experiment)
    shown = {name: path for name, path in targets.items() if plan[path].kind in {kinds.TABLE, kinds.FIGURE}}
    if options.table is not None:
        if options.table not in shown:
            raise UserError(
                f"{options.experiment} has no table or figure {options.table!r}: {suggest(options.table, shown)}"
            )
        shown = {options.table: shown[options.table]}
    console = Console(highlight=False, width=None if sys.stdout.isatty() else UNBROKEN)
    for name, path in shown.items():
        markdown = Path(path).with_suffix(".md")
        if not markdown.exists():
            print(f"{name} has not been rendered: run `snakemake {path}`\n")
            continue
        console.print(RenderedTable(markdown.read_text(encoding="utf-8")))
        picture = f"{Path(path).with_suffix('.png')}, " if plan[path].kind is kinds.FIGURE else ""
        console.print(f"{picture}whole caption: {markdown}\n", style="dim")
    return 0


def compare_cells(options: argparse.Namespace) -> int:
    """Print how each cell differs from the one before it, and how far that can be trusted."""
    from trigger_activation.science.evaluation.contrast import difference, told

    cells = [_accuracy_cell(path) for path in options.paths]
    if len(cells) < 2:
        raise UserError(f"{cells[0].path} alone has nothing to differ from: name two cells or more")
    if len({(Path(cell.path).parts[:3], cell.images) for cell in cells}) > 1:
        raise UserError("these cells are of different test images: compare cells of one protocol")
    for before, after in itertools.pairwise(cells):
        for pairs in (pairs for pairs in after.means if pairs in before.means):
            change = difference(after.means[pairs], before.means[pairs])
            print(f"{before.column} -> {after.column}, {pairs.replace('_', ' ')} pairs: {told(change)}")
    return 0


def _accuracy_cell(path: str) -> Cell:
    if not Path(path).exists():
        raise UserError(f"{_plan().owner(path).path} is missing: ask Snakemake for it")
    document = read_document(path) if is_json(path) else None
    if document is None or not isinstance(document.content, Cell):
        raise UserError(f"{path} is no cell of an accuracy table: name files of results/cells")
    return document.content


def pull_targets(options: argparse.Namespace) -> int:
    """Fetch what some targets need from the remote."""
    from trigger_activation.store.pull import pull

    plan, targets = _plan(), []
    for path in (path.removesuffix(".prov.json") for path in options.paths):
        artifact = plan.owner(path)
        targets.append(path if path in artifact.by_products else artifact.path)
    pull(plan, targets)
    return 0


def publish_artifacts(options: argparse.Namespace) -> int:
    """Push what is here to the remote."""
    from trigger_activation.store.publish import publish

    config, plan = _config_and_plan()
    experiments = [options.experiment] if options.experiment else list(plan.targets)
    artifacts = _artifacts_of(plan, options.experiment)
    publish(plan, artifacts, in_repository(config, plan, experiments))
    return 0


def write_crate(options: argparse.Namespace) -> int:
    """Write an experiment's results with what they were made of into one file."""
    from trigger_activation.report.crate import write_crate

    config, plan = _config_and_plan()
    _targets(plan, options.experiment)
    file = Path(f"{options.experiment}.crate.zip")
    files = write_crate(config, plan, options.experiment, file)
    print(f"{file} written: {files} files of {options.experiment}, the workflow and config.")
    return 0


def show_unused(_: argparse.Namespace) -> int:
    """Print what config declares to no use; exit 1 if there is something."""
    notices = _plan().notices
    print(*notices, sep="\n", end="\n" if notices else "")
    return 1 if notices else 0


def accept_code(_: argparse.Namespace) -> int:
    """Write the fingerprints of the code as it is now."""
    fingerprints.accept()
    print(f"{fingerprints.COMMITTED} written: commit it with the change.")
    return 0
