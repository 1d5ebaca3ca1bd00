"""The experiment `ablation`: one open detail at a time, with five networks of each variant."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pytest

from tests.support.projects import Project, shipped_plan
from trigger_activation.plan import Artifact
from trigger_activation.science.training.paradigms import PARADIGMS

PROTOCOL = "fashion16-ablation"
SWITCHES: dict[str, dict[str, set[str]]] = {
    "fixed_64": {
        "clamp": {"clamp"},
        "reverse": {"kl_direction"},
        "mean": {"kl_reduction"},
        "shared": {"shared_trigger"},
    },
    "learn_32": {
        "clamp": {"clamp"},
        "reverse": {"kl_direction"},
        "mean": {"kl_reduction"},
        "shared": {"shared_trigger"},
        "train": {"trigger_pass"},
        "random": {"direction"},
    },
}
TRIGGERS = [name for base, changed in SWITCHES.items() for name in (base, *(f"{base}_{switch}" for switch in changed))]


@cache
def planned() -> tuple[Artifact, ...]:
    plan = shipped_plan()
    return tuple(plan.upstream([plan.targets["ablation"]["ablation"]]))


def of_kind(kind: str) -> list[Artifact]:
    return [artifact for artifact in planned() if artifact.kind.name == kind]


@cache
def trained(paradigm: str) -> dict[str, Any]:
    """Parameters that the networks of a paradigm share."""
    found = [a.settings["paradigm"] for a in of_kind("checkpoint") if a.names["paradigm"] == paradigm]
    assert all(parameters == found[0] for parameters in found)
    return dict(found[0])


@pytest.mark.parametrize(
    ("kind", "count"), [("checkpoint", 14 * 5 * 2), ("tae", (6 + 13) * 5 * 2), ("cell", 7 * 14 + 13)]
)
def test_counts(kind: str, count: int) -> None:
    """Six attacks on undefended networks, and one on those of each of the others, of five seeds and two architectures;
    seven rows of cells, and adaptive ones of all but the undefended, whose adaptive attacker is the other one."""
    assert len(of_kind(kind)) == count


def test_all_is_of_one_protocol() -> None:
    assert {a.names["protocol"] for a in planned() if "protocol" in a.names} == {PROTOCOL}


def test_each_variant_has_five_networks_of_each_architecture() -> None:
    counts = Counter((a.names["paradigm"], a.names["network"]) for a in of_kind("checkpoint"))
    assert set(counts) == {(p, n) for p in ("standard", "at", *TRIGGERS) for n in ("vgg-s", "resnet18-xs")}
    assert set(counts.values()) == {5}


@pytest.mark.parametrize(
    ("base", "switch"), [(base, switch) for base, changed in SWITCHES.items() for switch in changed]
)
def test_a_variant_differs_from_its_default_in_one_detail(base: str, switch: str) -> None:
    default, changed = trained(base), trained(f"{base}_{switch}")
    assert {name for name in default if changed[name] != default[name]} == SWITCHES[base][switch]
    assert set(changed) == set(default)


@pytest.mark.parametrize(("base", "own"), [("fixed_64", {"trigger_eps"}), ("learn_32", {"alpha", "moving_share"})])
def test_every_detail_of_a_trigger_is_switched(base: str, own: set[str]) -> None:
    """So that a parameter that is added later gets a column."""
    switched = set[str]().union(*SWITCHES[base].values())
    assert set(PARADIGMS[trained(base)["class"]].model_fields) == own | switched


def test_all_but_the_seeds_is_the_demos() -> None:
    theirs = {a.names["paradigm"]: a.settings for a in planned() if a.kind.name == "checkpoint"}
    plan = shipped_plan()
    for paradigm in ("standard", "at", "fixed_64", "learn_32"):
        demo = plan[f"results/checkpoints/fashion16/resnet18-xs__{paradigm}/seed0.safetensors"].settings
        own = theirs[paradigm] | {"network": demo["network"], "seed": 0}
        assert own == demo


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{attack: pgd, without_trigger: true}", "`without_trigger` belongs to the row of clean images"),
        ("{white_box: pgd, without_trigger: true}", "`without_trigger` belongs to the row of clean images"),
    ],
)
def test_other_rows_cannot_do_without_the_trigger(row: str, says: str, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    project = Project.shipped(tmp_path)
    project.replace("tables/ablation.yaml", "{attack: clean, without_trigger: true}", row)
    assert says in project.complaint()
