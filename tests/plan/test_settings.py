"""The parameters behind an experiment, and the file that lets two commits be compared by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.support.projects import shipped_plan
from trigger_activation.plan.settings import all_settings

ROOT = Path(__file__).parents[2]


def settings(experiment: str) -> dict[str, Any]:
    return all_settings(shipped_plan().of_experiment(experiment))


def test_what_an_attack_runs_with_stands_under_its_name() -> None:
    assert settings("paper")["cifar10"]["tae"]["pgd"]["attack"]["eps"] == "8/255"
    assert settings("demo")["fashion16"]["tae"]["pgd"]["attack"]["eps"] == "16/255"


def test_networks_and_seeds_share_one_entry() -> None:
    trained = settings("demo")["fashion16"]["checkpoint"]["standard"]
    assert trained["training"]["batch_size"] == 64
    assert not {"network", "seed"} & trained.keys()
    assert settings("demo")["fashion16"]["network"]["vgg-s"]["class"] == "vgg"


def test_every_artifact_that_is_computed_is_covered() -> None:
    planned = [a for a in shipped_plan().of_experiment("demo") if a.path.startswith("results/")]
    covered = {kind for kinds in settings("demo").values() for kind in kinds}
    assert covered == {a.kind.name for a in planned} | {"network"}


def test_what_is_committed_can_be_compared() -> None:
    """An experiment whose metrics are in the repository is known to DVC, and no other."""
    declared = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))
    committed = {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("paper_tables/*/metrics.yaml")}
    committed.discard("paper_tables/smoke")
    assert set(declared["metrics"]) == {f"{folder}/headline.yaml" for folder in committed}
    names = ("metrics", "parameters")
    assert set(declared["params"]) == {f"{folder}/{name}.yaml" for folder in committed for name in names}
    assert "stages" not in declared, "what DVC would call changed in every clone"
