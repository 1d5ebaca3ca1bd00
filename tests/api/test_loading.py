"""Loading what a project has: examples of docstrings, names that do not exist, files that are not as they should be."""

from __future__ import annotations

import doctest
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import trigger_activation
from tests.support.image_sets import adversarial_images, write_tae_set
from tests.support.projects import one_sentence
from tests.support.smoke_project import ROOT, Project, make
from trigger_activation import list_taes, list_victims, load_surrogate, load_taes, load_victim
from trigger_activation.api import catalog, judging, loading, ranking
from trigger_activation.errors import UserError
from trigger_activation.plan import Plan, build_plan
from trigger_activation.plan.config import load_config
from trigger_activation.science.evaluation.accuracy import predict
from trigger_activation.store.arrays import load_arrays, save_arrays
from trigger_activation.store.records import file_record, read_record, write_record

pytestmark = pytest.mark.workflow

TAE = "results/taes/smoke/vgg-s__standard/seed0/pgd.npz"


@pytest.mark.parametrize("module", [catalog, loading, judging, ranking])
def test_examples_of_docstrings_hold(module: ModuleType, here: Project) -> None:
    assert here
    result = doctest.testmod(module, verbose=False)
    assert result.attempted > 0
    assert result.failed == 0


def test_every_function_of_the_package_has_an_example() -> None:
    finder = doctest.DocTestFinder(recurse=False)
    for name in trigger_activation.__all__:
        function = getattr(trigger_activation, name)
        if callable(function):
            assert finder.find(function)[0].examples, name


def test_a_victim_predicts_what_the_run_recorded(here: Project) -> None:
    classes = load_arrays(Path("results/predictions/smoke/clean/clean/fixed_64.npz"), ("classes",))["classes"]
    victim = load_victim("smoke", "vgg-s", "fixed", seed=1)
    pixels = load_taes("smoke", "vgg-s", "pgd").clean_pixels
    assert (predict(victim, pixels, 50).numpy() == classes[1, 0, 0]).all()
    assert here


def test_a_surrogate_is_the_undefended_victim(here: Project) -> None:
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        same = load_surrogate("smoke", "vgg-s")(images), load_victim("smoke", "vgg-s", "standard")(images)
    assert torch.equal(*same)
    assert here


def test_all_that_is_listed_of_a_finished_run_is_here_and_loads(here: Project) -> None:
    victims, sets = list_victims("smoke"), list_taes("smoke")
    assert all(each.here for each in (*victims, *sets))
    for victim in victims:
        load_victim(victim.protocol, victim.network, victim.paradigm, victim.seed)
    for each in sets:
        found = load_taes(each.protocol, each.surrogate, each.attack, paradigm=each.paradigm, seed=each.seed)
        assert found.images.shape == found.clean.shape
        assert len(found) == 100
    assert not any(each.here for each in list_victims() if each.protocol != "smoke")
    assert here


def test_any_folder_will_do_if_the_project_is_named(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = load_taes("smoke", "vgg-s", "pgd", project=finished.folder)
    monkeypatch.setenv("TRIGACT_PROJECT", str(finished.folder))
    assert torch.equal(load_taes("smoke", "vgg-s", "pgd").images, expected.images)
    with pytest.raises(UserError) as refusal:
        load_taes("smoke", "vgg-s", "pgd", project=tmp_path)
    assert "is no project" in one_sentence(str(refusal.value))
    monkeypatch.delenv("TRIGACT_PROJECT")
    with pytest.raises(UserError, match=r"give `project=`, or set TRIGACT_PROJECT"):
        list_taes()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: load_victim("smok", "vgg-s", "fixed"), "there is no protocol 'smok': did you mean 'smoke'?"),
        (lambda: load_victim("demo", "vgg-s", "fixed"), "'demo' is an experiment, whose protocols are fashion16"),
        (lambda: load_victim("smoke", "vgg", "fixed"), "with network 'vgg': did you mean 'vgg-s'?"),
        (lambda: load_victim("smoke", "vgg-s", "fixd_64"), "with paradigm 'fixd_64': did you mean 'fixed_64'?"),
        (lambda: load_victim("smoke", "vgg-s", "fixed", 7), "with seed '7': choose one of 0, 1"),
        (lambda: load_taes("smoke", "vgg-s", "mifgs"), "with attack 'mifgs': did you mean 'mifgsm'?"),
        (lambda: list_taes("smoky"), "there is no protocol 'smoky': did you mean 'smoke'?"),
    ],
)
def test_a_name_that_does_not_exist_suggests_the_nearest(here: Project, call: object, said: str) -> None:
    assert callable(call)
    with pytest.raises(UserError) as refusal:
        call()
    assert said in one_sentence(str(refusal.value))
    assert here


@pytest.fixture
def copy(finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of the finished run to change, as working folder."""
    project = finished.copy_to(tmp_path / "copy")
    monkeypatch.chdir(project.folder)
    return project


@pytest.fixture
def plan() -> Plan:
    return build_plan(load_config(ROOT / "config"))


def complaint() -> str:
    with pytest.raises(UserError) as refusal:
        load_taes("smoke", "vgg-s", "pgd")
    return one_sentence(str(refusal.value))


def test_what_is_missing_and_cannot_be_pulled_is_one_sentence(copy: Project) -> None:
    (copy.folder / TAE).unlink()
    said = complaint()
    assert said.startswith(f"{TAE} is not here and could not be pulled (")
    assert said.endswith(f"`snakemake {TAE}` makes it")
    assert not (copy.folder / TAE).exists()


def test_damaged_bytes_are_refused(copy: Project) -> None:
    path = copy.folder / TAE
    content = path.read_bytes()
    path.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    assert complaint().startswith(f"{TAE} is damaged and could not be pulled (")


def test_another_recipe_is_refused(copy: Project) -> None:
    copy.edit("config/attacks/gradient.yaml", "step_size: 0.095625*eps\n", "step_size: 0.1*eps\n")
    assert complaint().startswith(f"{TAE} is of another recipe than config/ plans: `snakemake {TAE}` makes it")


def sealed_again() -> None:
    """The record of the TAE set, as if its file had been made so."""
    record = read_record(TAE)
    assert record is not None
    write_record(record.model_copy(update={"files": {TAE: file_record(Path(TAE))}}))


@pytest.mark.usefixtures("copy")
def test_images_beyond_their_budget_are_refused() -> None:
    write_tae_set(TAE, 255 - adversarial_images(TAE))
    sealed_again()
    assert "where 16/255 are allowed, as if it were of another data set" in complaint()


def test_images_of_another_data_set_are_refused(copy: Project) -> None:
    path = copy.folder / TAE
    arrays = load_arrays(path, ("shape", "data_set", "ends", "differences"))
    save_arrays(path, {**arrays, "data_set": np.array("0" * 64)})
    sealed_again()
    assert "holds differences to a data set of sha256 000000000000, not to the one" in complaint()


def test_importing_the_package_needs_no_torch() -> None:
    code = "import sys, trigger_activation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_the_workflow_needs_is_not_needed(here: Project) -> None:
    absent = ("dvc", "jinja2", "loky", "matplotlib", "pandas", "psutil", "pygments", "rich", "snakemake")
    code = (
        "import sys\n"
        f"sys.modules |= dict.fromkeys({absent})\n"
        "from trigger_activation import evaluate, load_victim\n"
        "print(evaluate(load_victim('smoke', 'vgg-s', 'at'), 'smoke', attacks=['pgd']))\n"
    )
    result = here.execute([sys.executable, "-c", code])
    assert result.returncode == 0, result.stdout


def test_an_installed_package_loads_from_a_folder_of_data(finished: Project, tmp_path: Path) -> None:
    """The package lies in one place, config and results in another, and the program runs in a third."""
    packages, data = tmp_path / "packages", tmp_path / "data"
    source = Path(trigger_activation.__file__).parent
    shutil.copytree(source, packages / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("config", "results/checkpoints", "results/datasets", "results/taes"):
        shutil.copytree(finished.folder / part, data / part)
    code = (
        "import trigger_activation as t\n"
        f"model = t.load_victim('smoke', 'vgg-s', 'fixed', project={str(data)!r})\n"
        f"print(t.__file__, t.evaluate(model, 'smoke', attacks=['pgd'], project={str(data)!r}).images)\n"
    )
    with chdir(tmp_path):
        result = subprocess.run(
            [sys.executable, "-c", code],
            env={"PATH": "", "PYTHONPATH": str(packages)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{packages / source.name / '__init__.py'} 100\n"


def test_the_first_images_stand_for_a_set_that_is_not_here(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trigger_activation.plan.sharing.IMAGES", 40)
    copy = finished.copy_to(tmp_path / "copy")
    with chdir(copy.folder):
        whole = load_taes("smoke", "vgg-s", "pgd")
        plan = build_plan(load_config(Path("config")))
        excerpt = TAE.replace("/taes/", "/excerpts/")
        assert excerpt in {artifact.path for artifact in plan.of_experiment("smoke")}
        assert excerpt not in {artifact.path for artifact in plan.upstream(plan.targets["smoke"].values())}
        make(plan, excerpt)
        make(plan, "results/excerpts/fashion16/test.npz")
        assert len(load_taes("smoke", "vgg-s", "pgd")) == 100
        Path(TAE).unlink()
        Path("results/datasets/fashion16/test.npz").unlink()
        first = load_taes("smoke", "vgg-s", "pgd")
        assert ("vgg-s", "pgd") in {(each.surrogate, each.attack) for each in list_taes("smoke") if each.here}
        with pytest.raises(UserError, match=r"results/datasets/fashion16/test.npz is not here"):
            load_taes("smoke", "resnet18-xs", "pgd")
    assert len(first) == 40
    assert torch.equal(first.pixels, whole.pixels[:40])
    assert torch.equal(first.labels, whole.labels[:40])
