"""A crate, read back by the library's reader and as JSON-LD, has what the specification and the profile require."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rocrate.rocrate import ROCrate

from tests.support.projects import ROOT, Project, write_artifact
from trigger_activation.cli import main
from trigger_activation.plan import Plan
from trigger_activation.store.records import hash_file, sidecar

CRATE = Path("small.crate.zip")
RUN = "https://w3id.org/ro/wfrun/workflow/0.5"


@pytest.fixture
def plan(small: Project) -> Plan:
    """All artifacts are there, in a project that has a workflow."""
    Path("workflow").mkdir()
    shutil.copy(ROOT / "workflow/Snakefile", "workflow")
    plan = small.plan()
    for artifact in plan.of_experiment("small"):
        write_artifact(plan, artifact.path)
    return plan


@pytest.fixture
def entities(plan: Plan) -> dict[str, dict[str, Any]]:  # noqa: ARG001
    assert main(["crate", "small"]) == 0
    graph = json.loads(zipfile.ZipFile(CRATE).read("ro-crate-metadata.json"))["@graph"]
    assert len({entity["@id"] for entity in graph}) == len(graph)
    return {entity["@id"]: entity for entity in graph}


def types(entity: dict[str, Any]) -> set[str]:
    found = entity["@type"]
    return {found} if isinstance(found, str) else set(found)


def references(value: Any) -> Iterator[str]:
    """All that some properties refer to."""
    if isinstance(value, dict) and value.keys() == {"@id"}:
        yield value["@id"]
    elif isinstance(value, dict):
        yield from (found for item in value.values() for found in references(item))
    elif isinstance(value, list):
        yield from (found for item in value for found in references(item))


def test_the_root_says_what_the_specification_requires(entities: dict[str, dict[str, Any]]) -> None:
    metadata, root = entities["ro-crate-metadata.json"], entities["./"]
    assert types(metadata) == {"CreativeWork"}
    assert metadata["about"] == {"@id": "./"}
    assert "https://w3id.org/ro/crate/1.1" in set(references(metadata["conformsTo"]))
    assert "Dataset" in types(root)
    assert all(root[name] for name in ("name", "description", "datePublished"))
    assert "name" in entities[root["license"]["@id"]]


def test_files_are_in_the_crate_as_they_are_described(entities: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    zipfile.ZipFile(CRATE).extractall(tmp_path / "crate")
    there = {str(path.relative_to(tmp_path / "crate")) for path in (tmp_path / "crate").rglob("*") if path.is_file()}
    files = {name for name, entity in entities.items() if "File" in types(entity)}
    assert files == there - {"ro-crate-metadata.json"}
    assert set(references(entities["./"]["hasPart"])) == files
    for name in files:
        file = tmp_path / "crate" / name
        assert entities[name]["sha256"] == hash_file(file)
        assert int(entities[name].get("contentSize", file.stat().st_size)) == file.stat().st_size


def test_the_run_is_described_as_the_profile_requires(entities: dict[str, dict[str, Any]], plan: Plan) -> None:
    root = entities["./"]
    profiles = set(references(root["conformsTo"]))
    assert RUN in profiles
    assert all({"CreativeWork"} <= types(entities[url]) and entities[url]["version"] for url in profiles)
    workflow = entities[root["mainEntity"]["@id"]]
    assert types(workflow) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    language = entities[workflow["programmingLanguage"]["@id"]]
    assert (types(language), language["name"]) == ({"ComputerLanguage"}, "Snakemake")
    (mentioned,) = references(root["mentions"])
    action = entities[mentioned]
    assert types(action) == {"CreateAction"}
    assert action["instrument"] == root["mainEntity"]
    made = set(references(action["result"]))
    targets = set(plan.targets["small"].values())
    assert targets <= made
    assert {str(sidecar(path)) for path in targets} <= made
    assert not any(path.endswith((".npz", ".safetensors")) for path in made), "they are not git's"
    assert {path for path in references(action["object"]) if path.startswith("config/protocols/")}
    for parameter in references([workflow["input"], workflow["output"]]):
        assert types(entities[parameter]) == {"FormalParameter"}
        assert entities[parameter]["additionalType"] == "File"
    examples = {name for name, entity in entities.items() if set(references(entity.get("exampleOfWork"))) - {"#config"}}
    assert examples == targets


def test_what_is_referred_to_is_described(entities: dict[str, dict[str, Any]]) -> None:
    outside = {"https://w3id.org/ro/crate/1.1", "http://schema.org/CompletedActionStatus"}
    bioschemas = "https://bioschemas.org/profiles/FormalParameter/"
    language = set(references(entities["https://w3id.org/workflowhub/workflow-ro-crate#snakemake"]))
    named = {name for entity in entities.values() for name in references(list(entity.values()))}
    missing = named - entities.keys() - outside - language
    assert all(name.startswith(bioschemas) for name in missing), missing


@pytest.mark.usefixtures("entities")
def test_the_library_reads_it() -> None:
    crate: Any = ROCrate(CRATE)
    assert crate.mainEntity.id == "workflow/Snakefile"
    assert crate.root_dataset["mentions"][0]["instrument"] is crate.mainEntity


@pytest.mark.usefixtures("plan")
def test_a_stale_table_is_refused(small: Project, capsys: pytest.CaptureFixture[str]) -> None:
    small.replace("attacks/all.yaml", "label: PGD", "label: PGD-20")
    assert main(["crate", "small"]) == 1
    assert "is stale: run `snakemake --config experiment=small`" in capsys.readouterr().err
    assert not CRATE.exists()


@pytest.mark.usefixtures("plan")
def test_in_git_only_tracked_files_are_sources() -> None:
    Path("config/tracked.md").touch()
    for command in (["init", "-q"], ["add", "config/tracked.md"]):
        subprocess.run(["git", *command], check=True)
    Path("config/private.md").touch()
    assert main(["crate", "small"]) == 0
    names = set(zipfile.ZipFile(CRATE).namelist())
    assert "config/tracked.md" in names
    assert "config/private.md" not in names
