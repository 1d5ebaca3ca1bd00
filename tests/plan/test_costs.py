"""What a run will cost, and how far it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.projects import ROOT, Project, shipped_config, shipped_plan, write_artifact
from trigger_activation.cli import main
from trigger_activation.plan import build_plan
from trigger_activation.plan.config import load_config
from trigger_activation.plan.config.schema import Seeds
from trigger_activation.plan.costs import CostModel, longest_chain
from trigger_activation.report.overview import Hours, orphans
from trigger_activation.science.training.paradigms import PARADIGMS
from trigger_activation.store.freshness import Freshness

MEASURED = {"at": 7.2, "rat": 10.8, "tdat": 1.8, "fixed_64": 1.72}
"""Training hours over those of standard training: the paper's Table V, CIFAR-10."""
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def hours() -> dict[str, float]:
    model = CostModel(shipped_config(), shipped_plan())
    return {artifact.path: model.gpu_hours(artifact) for artifact in shipped_plan().of_experiment("paper")}


def total(hours: dict[str, float], start: str, part: str = "") -> float:
    return sum(value for path, value in hours.items() if path.startswith(start) and part in path)


def test_standard_training_takes_the_published_hours(hours: dict[str, float]) -> None:
    assert hours["results/checkpoints/cifar10/resnet18__standard/seed0.safetensors"] == pytest.approx(0.5, rel=0.02)
    assert hours["results/checkpoints/imagenet100/resnet18__standard/seed0.safetensors"] == pytest.approx(5.5, rel=0.02)


@pytest.mark.parametrize("paradigm", MEASURED)
def test_defenses_cost_about_what_the_paper_measured(hours: dict[str, float], paradigm: str) -> None:
    trained = hours[f"results/checkpoints/cifar10/resnet18__{paradigm}/seed0.safetensors"]
    assert trained / 0.5 == pytest.approx(MEASURED[paradigm], rel=0.4)


def test_the_whole_paper_is_about_3000_hours(hours: dict[str, float]) -> None:
    assert total(hours, "results/checkpoints/") == pytest.approx(1931, rel=0.25)
    assert total(hours, "results/purified/", "__diffpure") == pytest.approx(932, rel=0.25)
    assert total(hours, "results/taes/cifar10/", "/l2t") == pytest.approx(19, rel=0.25)
    assert sum(hours.values()) == pytest.approx(3040, rel=0.25)


def test_the_longest_chain_is_one_training_and_what_follows_it(hours: dict[str, float]) -> None:
    targets = shipped_plan().targets["paper"].values()
    chain = longest_chain(shipped_plan(), hours, targets)
    assert max(hours.values()) < chain < 3 * max(hours.values())


def test_the_chain_of_a_table_is_the_sum_along_its_dearest_path() -> None:
    plan = shipped_plan()
    cell = "results/cells/smoke/standard/pgd/at.json"
    hours = {artifact.path: 1.0 for artifact in plan.upstream([cell])}
    assert longest_chain(plan, hours, [cell]) == 4  # data set, surrogate, TAE set, cell


def test_a_job_asks_for_more_where_images_are_large() -> None:
    model, plan = CostModel(shipped_config(), shipped_plan()), shipped_plan()
    small, large = (
        model.memory_mib(plan[f"results/cells/{protocol}/standard/pgd/at.json"])
        for protocol in ("cifar10", "imagenet100")
    )
    assert 4096 < small < large
    assert large > 4096 + 6 * 5000 * 3 * 224**2 // 2**20


def test_passes_are_those_that_the_benchmark_counts() -> None:
    assert PARADIGMS["standard"]().passes == 1
    assert PARADIGMS["adversarial"](eps="8/255", steps=10, step_size="2/255").passes == pytest.approx(7.67, abs=0.01)
    assert PARADIGMS["rat"](eps="8/255", steps=10, step_size="2/255").passes == pytest.approx(9)


def test_the_cost_table_has_a_line_for_each_kind_and_target(capsys: Captured, project: Project) -> None:
    del project
    assert main(["plan", "paper", "--cost"]) == 0
    printed = capsys.readouterr().out
    lines = {line.split()[0]: line.split() for line in printed.splitlines() if line}
    assert int(lines["checkpoint"][1]) == 162 + 5
    assert {"table1", "figure2", "page", "all"} <= lines.keys()


@pytest.mark.usefixtures("small")
class TestStatus:
    def test_nothing_is_here(self, capsys: Captured) -> None:
        assert main(["status", "small"]) == 0
        line = capsys.readouterr().out.splitlines()[-1].split()
        assert (line[0], line[1], line[2]) == ("all", "0", "0")
        assert int(line[3]) > 0

    def test_what_is_left_goes_at_the_pace_of_what_is_here(self, small: Project) -> None:
        config, plan = load_config(Path("config")), small.plan()
        everything = plan.of_experiment("small")
        before = Hours(config, Freshness(plan), everything)
        first, second = [artifact for artifact in everything if artifact.kind.name == "checkpoint"][:2]
        taes = next(artifact for artifact in everything if artifact.kind.name == "tae")
        for artifact in plan.upstream([first.path]):
            write_artifact(plan, artifact.path, seconds=3 * 3600 * before.of(first))
        after = Hours(config, Freshness(plan), everything)
        assert after.of(first) == pytest.approx(3 * before.of(first))
        assert after.of(second) == pytest.approx(3 * before.of(second))
        assert after.of(taes) == pytest.approx(3 * before.of(taes)), "no TAE set tells its own pace yet"
        assert "at its pace (3 times the estimate)" in str(after)

    def test_garbage_is_listed_and_deleted_on_request(self, capsys: Captured) -> None:
        stray = Path("results/taes/mini/vgg-s__gone/seed0/pgd.npz")
        stray.parent.mkdir(parents=True)
        stray.write_bytes(b"12345")
        assert main(["gc"]) == 0
        assert str(stray) in capsys.readouterr().out
        assert stray.exists()
        assert main(["gc", "--delete"]) == 0
        assert "1 files deleted" in capsys.readouterr().out
        assert not stray.exists()

    def test_what_a_plan_contains_is_no_garbage(self, small: Project) -> None:
        plan = small.plan()
        artifact = next(a for a in plan.artifacts.values() if a.kind.name == "dataset")
        write_artifact(plan, artifact.path)
        assert Path(artifact.path).exists()
        assert orphans(plan) == {}


def test_the_paper_says_what_more_seeds_cost() -> None:
    """In a comment, where somebody would raise them."""
    config = shipped_config()
    headline = dict.fromkeys(("standard", "at", "fixed_64", "learn_4"), 3)
    comment = (ROOT / "config/experiments/paper.yaml").read_text().partition("title:")[0]
    said = re.findall(r"\b\d+,\d+\b", comment)
    found = []
    for seeds in (Seeds(), Seeds(paradigms=headline), Seeds(default=3)):
        protocols = {
            name: protocol.model_copy(update={"seeds": seeds})
            for name, protocol in config.protocols.items()
            if name in config.experiments["paper"].slots.values()
        }
        plan = build_plan(config.model_copy(update={"protocols": {**config.protocols, **protocols}}))
        model = CostModel(config, plan)
        found.append(f"{sum(map(model.gpu_hours, plan.of_experiment('paper'))):,.0f}")
    assert said == found
