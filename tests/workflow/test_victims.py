"""A column for a network that was trained elsewhere: what it counts is what its twin's row counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.support.architectures import family
from tests.support.image_sets import adversarial_images
from tests.support.smoke_project import PDF, Project, make

from trigger_activation.plan import Plan, build_plan
from trigger_activation.plan.config import load_config
from trigger_activation.science.images import to_float
from trigger_activation.store.freshness import Freshness
from trigger_activation.store.records import hash_file, read_content

pytestmark = pytest.mark.workflow

FILE = Path("results/external/mine.pt")
TABLE = "paper_tables/smoke/table1.tex"


def cell(column: str, attack: str = "pgd") -> str:
    surrogates = "clean" if attack == "clean" else "standard"
    return f"results/cells/smoke/{surrogates}/{attack}/{column}.json"


def declare(copy: Project, network: str, state: dict[str, torch.Tensor]) -> Plan:
    """Put a file in its place, add the key and the column, and plan."""
    FILE.parent.mkdir()
    torch.save(state, FILE)
    (copy.folder / "config/victims").mkdir()
    (copy.folder / "config/victims/mine.yaml").write_text(
        f"mine: {{label: My defense, network: {network}, file: {FILE.name}, sha256: {hash_file(FILE)}}}\n"
    )
    copy.edit("config/experiments/smoke.yaml", "- {victim: tdat}", "- {victim: tdat}\n      - {victim: mine}")
    return build_plan(load_config(Path("config")))


def make_missing(plan: Plan, path: str) -> list[str]:
    """Make what is not valid, inputs first; returns the kinds of what was made."""
    freshness = Freshness(plan)
    missing = [artifact for artifact in plan.upstream([path]) if not freshness.verdict(artifact.path).valid]
    for artifact in missing:
        make(plan, artifact.path)
    return sorted(artifact.kind.name for artifact in missing)


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize(
    ("network", "paradigm", "seed", "twin"),
    [("vgg-s", "standard", 0, "none"), ("resnet18-xs", "fixed_64", 0, "fixed_64")],
)
def test_an_exported_network_keeps_its_row(copy: Project, network: str, paradigm: str, seed: int, twin: str) -> None:
    trained = load_file(f"results/checkpoints/smoke/{network}__{paradigm}/seed{seed}.safetensors")
    plan = declare(copy, network, {name.removeprefix("network."): tensor for name, tensor in trained.items()})
    assert make_missing(plan, TABLE) == ["cell"] * 3 + ["imported", "table"]
    for attack in ("clean", "pgd", "mifgsm"):
        mine, original = read_content(cell("mine", attack)), read_content(cell(twin, attack))
        row = original["victims"].index(network)
        assert mine["victims"] == [network]
        assert mine["surrogates"] == original["surrogates"]
        assert mine["correct"] == [[original["correct"][seed][row]]]
    counts = dict(zip(mine["surrogates"], mine["correct"][0][0], strict=True))
    del counts[network]
    assert mine["means"]["off_diagonal"]["mean"] == pytest.approx(sum(counts.values()) / len(counts))  # of 100 images
    text = Path(TABLE).with_suffix(".md").read_text()
    assert "My defense is a single" in text


@pytest.mark.usefixtures("plan")
def test_a_network_that_is_no_surrogate_meets_only_others(copy: Project) -> None:
    network = family("densenet-xs").build(16, 10).eval()
    plan = declare(copy, "densenet-xs", network.state_dict())
    make_missing(plan, cell("mine"))
    mine = read_content(cell("mine"))
    assert mine["means"]["off_diagonal"] == mine["means"]["all"]
    labels = np.load("results/datasets/fashion16/test.npz")["labels"][:100]
    for surrogate, count in zip(mine["surrogates"], mine["correct"][0][0], strict=True):
        images = adversarial_images(f"results/taes/smoke/{surrogate}__standard/seed0/pgd.npz")
        with torch.no_grad():
            predicted = network(to_float(images)).argmax(dim=1).numpy()
        assert count == (predicted == labels).sum()


@pytest.mark.engine
@pytest.mark.usefixtures("plan")
def test_one_key_and_one_column_plan_one_column(copy: Project) -> None:
    trained = load_file("results/checkpoints/smoke/vgg-s__standard/seed0.safetensors")
    declare(copy, "vgg-s", trained)
    assert copy.planned() == {
        "imported": 1,
        "cell": 3,
        "table": 1,
        "findings": 1,
        "comparison": 1,
        "metrics": 1,
        "page": 1,
        **PDF,
    }
