"""The smoke experiment from end to end."""

from __future__ import annotations

import json
import math
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.support.smoke_project import Project, is_made_here, make
from torch import Tensor

from trigger_activation.plan import Plan, build_plan
from trigger_activation.plan.config import load_config
from trigger_activation.plan.recipes import CellParameters
from trigger_activation.run.job import Job
from trigger_activation.run.spec import read_spec, write_spec
from trigger_activation.run.stages._evidence import DECIMALS
from trigger_activation.science.evaluation import white_box
from trigger_activation.science.evaluation.accuracy import predict
from trigger_activation.science.evaluation.white_box import robustness
from trigger_activation.store import scratch
from trigger_activation.store.arrays import load_arrays

pytestmark = pytest.mark.workflow


@pytest.mark.engine
def test_every_planned_file_is_there(finished: Project) -> None:
    plan = build_plan(load_config(finished.folder / "config"))
    missing = [
        file
        for artifact in plan.of_experiment("smoke")
        if is_made_here(artifact.kind.name)
        for file in (*artifact.files, *artifact.by_products)
        if not (finished.folder / file).exists()
    ]
    assert not missing


def test_the_experiment_for_tests_stays_small(finished: Project) -> None:
    assert len(list(build_plan(load_config(finished.folder / "config")).of_experiment("smoke"))) <= 150


def test_nothing_half_written_stays(finished: Project) -> None:
    assert not list(finished.folder.rglob(".partial-*"))


def test_verify_finds_no_problem(finished: Project) -> None:
    result = finished.trigact("verify", "smoke")
    assert result.returncode == 0
    assert "0 problems" in result.stdout


def test_captions_name_what_was_really_used(finished: Project) -> None:
    caption = (finished.folder / "paper_tables/smoke/table1.md").read_text()
    for fact in ("Fashion-MNIST", "16/255", "3 iterations", "100 test images", "VGG (s) and ResNet-18 (xs)", "2 seeds"):
        assert fact in caption


def test_the_comparison_judges_what_the_run_has(finished: Project) -> None:
    text = (finished.folder / "paper_tables/smoke/comparison.md").read_text()
    assert "magnitudes cannot" in text
    assert "Columns not run: JPEG q = 75" in text
    row = next(line for line in text.splitlines() if line.startswith("| Learnable triggers are smaller"))
    assert "2 not tested" in row


def test_cells_hold_counts_that_give_their_means(finished: Project) -> None:
    for path in finished.folder.glob("results/cells/smoke/standard/*/*.json"):
        cell = json.loads(path.read_text())["content"]
        counts = [count for seed in cell["correct"] for victim in seed for count in victim]
        expected = 100 * sum(counts) / len(counts) / cell["images"]
        assert cell["means"]["all"]["mean"] == pytest.approx(expected, abs=1e-5)


def test_cells_observe_what_sanity_checks_ask(finished: Project) -> None:
    """Recomputed from records, predictions and networks."""
    results = finished.folder / "results"
    labels = load_arrays(results / "datasets/fashion16/test.npz", ("labels",))["labels"][:100]
    rounding = 10**-DECIMALS  # what cells round to: no share of a gap, which is close to 0 on some processors

    def observed(cell: str) -> dict[str, list[float]]:
        evidence: dict[str, list[float]] = json.loads((results / f"cells/smoke/{cell}.json").read_text())["content"][
            "evidence"
        ]
        return evidence

    def predicted(cell: str) -> NDArray[np.uint16]:
        return load_arrays(results / f"predictions/smoke/{cell}.npz", ("classes",))["classes"]

    own = predicted("standard/pgd/none")
    diagonal = [100 * float((own[seed, k, k] == labels).mean()) for seed in range(2) for k in range(2)]
    assert observed("standard/pgd/none") == {"budget": [100] * 4, "white_box": pytest.approx(diagonal, abs=rounding)}
    assert observed("standard/pgd/fixed_64")["white_box"] == []

    logs = [
        json.loads((results / f"checkpoints/smoke/{network}__fixed_64/seed{seed}.safetensors.prov.json").read_text())
        for seed in (0, 1)
        for network in ("vgg-s", "resnet18-xs")
    ]
    clean = observed("clean/clean/fixed_64")
    measured = 100 * (predicted("clean/clean/fixed_64")[:, :, 0] == labels).mean(axis=-1).ravel()
    logged = [log["checks"]["training_accuracy"] for log in logs]
    assert clean["training_log"] == pytest.approx(np.abs(measured - logged), abs=rounding)
    assert len(clean["without_trigger"]) == 4
    assert clean["below_best"] == pytest.approx(measured.max() - measured, abs=rounding)
    assert clean["guessing"] == pytest.approx((100 - measured) / 0.9, abs=rounding)
    assert observed("clean/clean/none")["without_trigger"] == []


def test_surrogates_meet_victims_of_their_seed_and_other_seeds_stand_apart(plan: Plan) -> None:
    """Asked again, one network and one set of images at a time."""
    cell = plan["results/cells/smoke/standard/pgd/fixed_64.json"]
    predictions = load_arrays(Path(cell.by_products[0]), ("classes", "other_seed"))
    content = json.loads(Path(cell.path).read_text())["content"]
    job: Job[CellParameters] = Job(read_spec(write_spec(plan, cell), cell.recipe))
    networks = cell.settings["networks"]
    victims = dict(zip(product(range(2), networks), job.networks("victims"), strict=True))
    _, labels = job.labelled("test", 100)
    for (seed, surrogate), record in zip(product(range(2), range(2)), job.records("images"), strict=True):
        assert f"/{networks[surrogate]}__standard/seed{seed}/" in record.path
        images = job.images(record, 100)
        for number, victim in enumerate(networks):
            said = predict(victims[seed, victim], images, 50).numpy()
            assert np.array_equal(said, predictions["classes"][seed, number, surrogate])
            assert content["correct"][seed][number][surrogate] == (said == labels.numpy()).sum()
        other = predict(victims[1 - seed, networks[surrogate]], images, 50).numpy()
        assert np.array_equal(other, predictions["other_seed"][1 - seed, surrogate, 0])


def test_clean_cells_hold_what_networks_with_a_trigger_guess_without_it(finished: Project) -> None:
    def content(column: str) -> dict[str, Any]:
        path = finished.folder / f"results/cells/smoke/clean/clean/{column}.json"
        found: dict[str, Any] = json.loads(path.read_text())["content"]
        return found

    cell = content("fixed_64")
    above_chance = np.mean(cell["evidence"]["without_trigger"])
    assert cell["means"]["without_trigger"]["mean"] == pytest.approx(10 + above_chance, abs=10**-DECIMALS)
    assert np.shape(cell["means"]["without_trigger"]["scores"]) == np.shape(cell["means"]["all"]["scores"])
    assert "without_trigger" not in content("none")["means"]


@pytest.mark.parametrize("paradigm", ["standard", "fixed_64"])
def test_white_box_attacks_only_take_from_accuracy(finished: Project, paradigm: str) -> None:
    path = finished.folder / f"results/cells/smoke/measured/whitebox/{paradigm}.json"
    measured = json.loads(path.read_text())["content"]
    correct, means = measured["correct"], measured["means"]
    ((*clean,),) = correct["clean"]  # one seed, although fixed_64 has two
    for attack in ("clean", "pgd", "single_step", "autoattack"):
        ((*left,),) = correct[attack]
        assert all(count <= most for count, most in zip(left, clean, strict=True))
        assert means[attack]["mean"] == pytest.approx(100 * sum(left) / len(left) / measured["images"], abs=1e-5)
        assert len(means[attack]["scores"]) == 1


def test_a_white_box_measurement_has_the_same_bytes_in_another_process(plan: Plan) -> None:
    """On the same processor, of whichever kind."""
    path = Path("results/cells/smoke/measured/whitebox/fixed_64.json")
    before = path.read_bytes()
    path.unlink()
    make(plan, str(path))
    assert path.read_bytes() == before


def test_a_white_box_measurement_goes_on_after_the_last_victim(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("results/cells/smoke/measured/whitebox/fixed_64.json")
    before = path.read_bytes()
    path.unlink()
    attacked: list[object] = []

    def interrupted(victim: object, *arguments: object, **effort: object) -> dict[str, Tensor]:
        attacked.append(victim)
        if len(attacked) == 2:
            raise KeyboardInterrupt
        return robustness(victim, *arguments, **effort)  # type: ignore[arg-type]

    monkeypatch.setattr(scratch, "INTERVAL", 0.0)
    monkeypatch.setattr(white_box, "robustness", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(plan, str(path))
    make(plan, str(path))
    assert len(attacked) == 3  # the first once, the second twice
    assert path.read_bytes() == before
    assert not list(Path("results/scratch").glob("*"))


def test_examples_are_those_that_the_cells_call_fooled(finished: Project) -> None:
    """The victim is the first network, attacked by way of the second."""
    results = finished.folder / "results"
    study = json.loads((results / "cells/smoke/measured/concept/fixed_64.json").read_text())["content"]
    labels = load_arrays(results / "datasets/fashion16/test.npz", ("labels",))["labels"][:100]

    def predicted(cell: str, surrogate: int) -> NDArray[np.uint16]:
        classes: NDArray[np.uint16] = load_arrays(results / f"predictions/smoke/{cell}.npz", ("classes",))["classes"]
        return classes[0, 0, surrogate]

    before, after = predicted("clean/clean/none", 0), predicted("standard/pgd/none", 1)
    fooled = (before == labels) & (after != labels)
    assert study["fooled"] == np.sum(fooled)
    assert study["kept"] == np.sum(fooled & (predicted("standard/pgd/fixed_64", 1) == labels))
    expected = {
        ("clean", "undefended"): before,
        ("adversarial", "undefended"): after,
        ("clean_triggered", "with_trigger"): predicted("clean/clean/fixed_64", 0),
        ("adversarial_triggered", "with_trigger"): predicted("standard/pgd/fixed_64", 1),
    }
    assert len({example["label"] for example in study["examples"]}) == 3
    for example in study["examples"]:
        assert labels[example["position"]] == example["label"]
        for (shown, network), classes in expected.items():
            assert np.argmax(example["probabilities"][shown][network]) == classes[example["position"]]


def test_the_theorems_are_measured_on_every_network(finished: Project) -> None:
    path = finished.folder / "results/cells/smoke/measured/theory/fixed_64.json"
    study = json.loads(path.read_text())["content"]
    assert [network["network"] for network in study["networks"]] == ["vgg-s", "resnet18-xs"]
    for network in study["networks"]:
        assert network["loss_bound"] == pytest.approx(16 / 64 * math.log(10))
        assert set(network["transferred_loss"]) == {"vgg-s", "resnet18-xs"}
        assert abs(network["test"]["inner_product"]) <= network["test"]["hoelder_bound"]


def test_logs_show_progress(finished: Project) -> None:
    (log,) = finished.folder.glob("results/logs/results/checkpoints/smoke/vgg-s__at/seed0.safetensors.log")
    assert "2/2" in log.read_text()


@pytest.mark.latex
def test_tables_compile_in_a_document_of_three_lines(finished: Project, tmp_path: Path) -> None:
    inputs = "".join(rf"\input{{{path}}}" for path in sorted(finished.folder.glob("paper_tables/smoke/table*.tex")))
    document = tmp_path / "document.tex"
    document.write_text(
        "\\documentclass{article}\\usepackage{booktabs,graphicx}\n\\begin{document}\n" + inputs + "\\end{document}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", document.name]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert result.returncode == 0, result.stdout[-2000:]
    assert "Overfull" not in result.stdout


def test_one_cell_builds_only_what_it_needs(fresh: Project) -> None:
    planned = fresh.planned("results/cells/smoke/standard/pgd/at.json")
    assert planned == {"dataset": 2, "checkpoint": 4, "tae": 2, "cell": 1}


def test_the_whole_paper_can_be_planned(fresh: Project) -> None:
    planned = fresh.planned(settings=("experiment=paper",))
    purified = planned["purified"] + planned["purified_clean"]
    # Beside the paper's 162 networks: six imported ones for Diff-PGD and the purifiers, and what the supplementary
    # tables add, the noise control and TAE sets of surrogates without triggers.
    assert (planned["checkpoint"], planned["helper"], planned["tae"]) == (162 + 5, 6, 322 + 20)
    assert (purified, planned["cell"]) == (266, 469 + 7)


def test_missing_archives_stop_the_run_before_its_first_job(fresh: Project) -> None:
    result = fresh.run("paper_tables/paper/table2.tex")
    assert result.returncode != 0
    assert "cannot be made: results/external/cifar-10-python.tar.gz is missing: download https://" in result.stdout
    assert not list(fresh.folder.glob("results/logs/**/*.log"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_run_for_gpus_stops_where_there_is_none(fresh: Project) -> None:
    result = fresh.run("--profile", "workflow/profiles/workstation")
    assert result.returncode != 0
    assert "finds no GPU on" in result.stdout
    assert not list(fresh.folder.glob("results/logs/**/*.log"))


def test_a_target_that_no_plan_contains_is_explained(fresh: Project) -> None:
    result = fresh.run("results/cells/smoke/standard/pgd/fixed_4.json")
    assert result.returncode != 0
    assert (
        "is nothing that this workflow makes: did you mean results/cells/smoke/standard/pgd/fixed_64.json"
        in result.stdout
    )
