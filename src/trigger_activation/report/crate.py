"""An experiment's results as an RO-Crate, in the form of a Workflow Run Crate (https://w3id.org/ro/wfrun/workflow/0.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rocrate.rocrate import ROCrate

from trigger_activation.errors import UserError
from trigger_activation.plan import Plan, kinds
from trigger_activation.plan.config.schema import Config
from trigger_activation.store.atomic import replacing
from trigger_activation.store.environment import git
from trigger_activation.store.freshness import Freshness
from trigger_activation.store.records import hash_file, sidecar

SNAKEFILE = "workflow/Snakefile"
SOURCES = ("workflow", "config", "src", "requirements.lock", "pyproject.toml", "LICENSE")
"""What makes results."""
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
WORKFLOW_PROFILE = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
LICENSE = "https://spdx.org/licenses/MIT"
Files = Mapping[str, Any]
"""Path -> what the crate says about the file."""


def write_crate(config: Config, plan: Plan, experiment: str, file: Path) -> int:
    """Write what git holds of an experiment, all records that are here, and the workflow, as one zip file.

    Data sets, networks and images stay where they are; records name them with the sha256 of their bytes.

    Returns:
        How many files of the experiment are in it.

    Raises:
        UserError: a table, figure or report is not there, or not what config asks for. Only a PDF may be missing.
    """
    targets = _targets(plan, experiment)
    artifacts = plan.of_experiment(experiment)
    kept = [kept for artifact in artifacts if artifact.kind.is_in_git for kept in artifact.files]
    records = [str(sidecar(artifact.path)) for artifact in artifacts]
    crate = _described(config, experiment)
    sources = _added(crate, (path for path in _tracked(SOURCES) if path != SNAKEFILE))
    results = _added(crate, (path for path in dict.fromkeys([*kept, *records]) if Path(path).exists()))
    workflow = _workflow(crate)
    given = [said for path, said in sources.items() if path.startswith("config/")]
    _state_parameters(crate, workflow, given, {name: results[path] for name, path in targets.items()})
    _state_action(crate, workflow, experiment, given, list(results.values()))
    with replacing(file) as temporary:
        crate.write_zip(temporary)
    return len(results)


def _targets(plan: Plan, experiment: str) -> dict[str, str]:
    """Name -> path of what the experiment asks for, all of it current."""
    freshness = Freshness(plan)
    targets = plan.targets[experiment]
    found = {name: path for name, path in targets.items() if plan[path].kind is not kinds.PDF or Path(path).exists()}
    for path in found.values():
        if not (verdict := freshness.verdict(path)).valid:
            raise UserError(
                f"{path} is {verdict.status}: run `snakemake --config experiment={experiment}`, then ask again"
            )
    return found


def _described(config: Config, experiment: str) -> Any:
    """A crate with nothing in it yet but what it is."""
    crate: Any = ROCrate(version="1.1")  # type: ignore[no-untyped-call]
    crate.name = f"{config.experiments[experiment].title} ({experiment})"
    crate.description = "Tables, figures, cells and records of an experiment, and the workflow that makes them."
    crate.license = _entity(crate, LICENSE, "CreativeWork", name="MIT License", url=LICENSE)
    if (paper := config.paper) is not None:
        cited = _entity(crate, paper.url, "ScholarlyArticle", name=paper.title, identifier=paper.preprint)
        crate.root_dataset["citation"] = cited
    crate.root_dataset["conformsTo"] = [
        _entity(crate, url, "CreativeWork", name=name, version=url.rpartition("/")[2]) for url, name in PROFILES.items()
    ]
    return crate


def _entity(crate: Any, identity: str, kind: str, **properties: str) -> Any:
    return crate.add_jsonld({"@id": identity, "@type": kind, **properties})


def _added(crate: Any, paths: Iterable[str]) -> Files:
    return {
        path: crate.add_file(path, path, properties={"name": path, "sha256": hash_file(Path(path))}, record_size=True)
        for path in paths
    }


def _workflow(crate: Any) -> Any:
    """The main entity."""
    said = {
        "name": "trigger-activation",
        "version": version("trigger-activation"),
        "license": {"@id": LICENSE},
        "sha256": hash_file(Path(SNAKEFILE)),
    }
    workflow = crate.add_workflow(
        SNAKEFILE, SNAKEFILE, main=True, lang="snakemake", lang_version=version("snakemake"), properties=said
    )
    workflow["conformsTo"] = _entity(crate, WORKFLOW_PROFILE, "CreativeWork", name="ComputationalWorkflow")
    return workflow


def _state_parameters(crate: Any, workflow: Any, given: Sequence[Any], targets: Files) -> None:
    """The workflow takes config, and has an output for each table, figure and report."""
    config = crate.add_formal_parameter("config", "File", "#config", valueRequired=True)
    workflow["input"] = [config]
    for file in given:
        file["exampleOfWork"] = config
    outputs = {name: crate.add_formal_parameter(name, "File", f"#{name}") for name in targets}
    workflow["output"] = list(outputs.values())
    for name, file in targets.items():
        file["exampleOfWork"] = outputs[name]


def _state_action(crate: Any, workflow: Any, experiment: str, given: Sequence[Any], results: Sequence[Any]) -> None:
    """That the workflow made all results from config; no time, since it may have taken many runs."""
    said = {
        "name": f"snakemake --config experiment={experiment}",
        "description": f"Collected at commit {git('rev-parse', 'HEAD')}; records say where each file was made.",
        "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
    }
    crate.root_dataset["mentions"] = [crate.add_action(workflow, "#run", given, results, said)]


def _tracked(places: Sequence[str]) -> list[str]:
    """Files of git in some places; outside of git all that are there."""
    if (listed := git("ls-files", "--", *places)) is not None:
        return [path for path in listed.splitlines() if Path(path).is_file()]
    files = [file for place in map(Path, places) for file in (place, *sorted(place.rglob("*")))]
    return [str(file) for file in files if file.is_file() and "__pycache__" not in file.parts]
