"""After a pull: what Snakemake plans. And pulls that are killed, fill the disk, or meet a broken remote."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import chdir
from pathlib import Path

import pytest
from benchmarks.invented import invent
from tests.support.repositories import add_remote, clone, held, must, new_repository, publish, with_own_remote
from tests.support.smoke_project import BIN, PDF, QUIET, ROOT, UNSHARE, Project, can_mount, is_made_here

from trigger_activation.plan import Artifact, Plan, build_plan
from trigger_activation.plan.config import load_config
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.store import dvc
from trigger_activation.store.freshness import Freshness
from trigger_activation.store.records import FileRecord, file_record

pytestmark = pytest.mark.workflow

TABLE = "paper_tables/smoke/table7.tex"
TAE = "results/taes/smoke/vgg-s__standard/seed0/pgd.npz"
KEPT = ("results/datasets", "results/checkpoints", "results/taes", "results/purified", "results/predictions")
BYTES = 2**15


def sizeable(path: Path, artifact: Artifact) -> FileRecord:
    """A file of which half can be missing."""
    path.write_text(f"{artifact.recipe} of {path}\n".ljust(BYTES, "."))
    return file_record(path)


@pytest.fixture(scope="module")
def smoke_plan() -> Plan:
    return build_plan(load_config(ROOT / "config"))


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory, smoke_plan: Plan) -> Project:
    """A repository with the smoke experiment, all of it invented: in git what is small, at the remote the rest."""
    project = new_repository(tmp_path_factory.mktemp("pulling") / "origin")
    with chdir(project.folder):
        invent(smoke_plan.of_experiment("smoke"), sizeable)
    must(project, "git", "add", "--force", "results/cells", "paper_tables")
    add_remote(project)
    publish(project)
    return project


@pytest.fixture(scope="module")
def pulled(origin: Project, tmp_path_factory: pytest.TempPathFactory, smoke_plan: Plan) -> Project:
    """A clone into which everything was pulled, every input newer than what is made from it. Tests copy it."""
    project = clone(origin, tmp_path_factory.mktemp("pulled") / "clone")
    must(project, "dvc", "pull")
    for age, artifact in enumerate(smoke_plan.of_experiment("smoke")):
        for file in (*artifact.files, *artifact.by_products):
            moment = time.time() - 100 * age
            os.utime(project.folder / file, (moment, moment))
    return project


def jobs(config: Path, folder: Path) -> dict[str, str]:
    """What a run in a folder has to make for the smoke experiment: path -> kind."""
    plan = build_plan(load_config(config))
    with chdir(folder):
        freshness, found = Freshness(plan), {}
        open_ends = [path for path in plan.targets["smoke"].values() if is_made_here(plan[path].kind.name)]
        while open_ends:
            artifact = plan[open_ends.pop()]
            if artifact.path not in found and not freshness.verdict(artifact.path).valid:
                found[artifact.path] = artifact.kind.name
                open_ends += artifact.input_paths
    return found


def planned(project: Project) -> dict[str, str]:
    """First output of every job of a dry run -> its rule."""
    result = project.execute(project.command("--dry-run"))
    assert result.returncode == 0, result.stdout
    pattern = r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    output: ([^\s,]+)"
    return {output: rule for rule, output in re.findall(pattern, result.stdout, re.MULTILINE)}


def test_nothing_is_planned_after_a_pull_that_changed_all_times(pulled: Project) -> None:
    assert not (pulled.folder / ".snakemake").exists()
    assert set(pulled.contents(*KEPT)) > {TAE, f"{TAE}.prov.json"}
    assert planned(pulled) == {}


Edit = tuple[str, str, str]
"""File, old text, new text."""
ATTACK = "attacks/gradient.yaml", "momentum: 1.0}  # Dong", "momentum: 0.5}  # Dong"
TRAINING = "paradigms/baselines.yaml", "regularisation: 0.6", "regularisation: 0.5"
CAPTION = "tables/table7.yaml", "title: Accuracy under", "title: Accuracies under"
LABEL = "experiments/smoke.yaml", "label: 32/255}", "label: largest}"
COLUMN = "experiments/smoke.yaml", "label: 32/255}\n", "label: 32/255}\n      - {victim: learn_4}\n"
SEED = "protocols/smoke.yaml", "paradigms: {standard: 2, fixed_64: 2}", "paradigms: {standard: 2, fixed_64: 2, tdat: 2}"
REPORTS = {"findings": 1, "comparison": 1, "metrics": 1, "page": 1, **PDF}
ONE_TABLE = {"table": 1, **REPORTS}
MIFGSM = {"tae": 4, "cell": 6, "table": 3, **REPORTS}


Edited = Callable[..., Path]


@pytest.fixture
def edited(tmp_path: Path) -> Edited:
    """Makes a copy of config with some edits."""

    def edit(*edits: Edit) -> Path:
        project = Project(tmp_path)
        shutil.copytree(ROOT / "config", tmp_path / "config")
        for file, old, new in edits:
            project.edit(f"config/{file}", old, new)
        return tmp_path / "config"

    return edit


@pytest.mark.engine
@pytest.mark.parametrize(
    ("edit", "expected", "made"),
    [
        pytest.param(CAPTION, ONE_TABLE, "", id="caption"),
        pytest.param(LABEL, ONE_TABLE, "", id="label"),
        pytest.param(ATTACK, MIFGSM, "/mifgsm", id="attack parameter"),
        pytest.param(TRAINING, {"checkpoint": 2, "cell": 3, **ONE_TABLE}, "tdat", id="training parameter"),
        pytest.param(COLUMN, {"checkpoint": 2, "cell": 2, **ONE_TABLE}, "learn_4", id="new column"),
        pytest.param(SEED, {"checkpoint": 2, "cell": 3, **ONE_TABLE}, "tdat/seed1.safe|/tdat.json", id="new seed"),
    ],
)
def test_a_change_plans_exactly_what_depends_on_it(
    pulled: Project, edited: Edited, edit: Edit, expected: Mapping[str, int], made: str
) -> None:
    found = jobs(edited(edit), pulled.folder)
    assert Counter(found.values()) == expected
    assert all(re.search(made, path) for path in found if path.startswith("results/"))


@pytest.mark.engine
def test_a_new_version_of_an_attack_plans_what_it_made(pulled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ATTACKS["mifgsm"], "version", ATTACKS["mifgsm"].version + 1)
    found = jobs(ROOT / "config", pulled.folder)
    assert Counter(found.values()) == MIFGSM
    assert all("/mifgsm" in path for path in found if path.startswith("results/"))


@pytest.mark.engine
def test_snakemake_plans_the_same_whatever_the_times(pulled: Project, edited: Edited, tmp_path: Path) -> None:
    expected = jobs(edited(CAPTION, ATTACK, TRAINING, SEED), pulled.folder)
    copy = pulled.copy_to(tmp_path / "copy")
    shutil.copytree(tmp_path / "config", copy.folder / "config", dirs_exist_ok=True)
    assert planned(copy) == expected


@pytest.fixture
def emptied(origin: Project, tmp_path: Path) -> Project:
    """A clone that has to make Table VII, since its cells are not there either."""
    project = clone(origin, tmp_path / "clone")
    for path in ("results/cells", *(TABLE.replace(".tex", suffix) for suffix in (".tex", ".csv", ".md"))):
        shutil.rmtree(project.folder / path) if path == "results/cells" else (project.folder / path).unlink()
    return project


def test_after_a_partial_pull_a_run_says_first_how_to_pull_the_rest(emptied: Project) -> None:
    assert emptied.trigact("pull", TAE).returncode == 0
    result = emptied.execute(emptied.command(TABLE, "--dry-run"))
    rest = re.findall(rf"^    output: ((?:{'|'.join(KEPT)})/[^\s,]+)", result.stdout, re.MULTILINE)
    assert rest
    assert TAE not in rest
    run = subprocess.Popen(
        emptied.command(TABLE, *QUIET),
        cwd=emptied.folder,
        start_new_session=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert run.stdout is not None
    said = next(line for line in run.stdout if "is published" in line or line.startswith("["))
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert said.startswith(f"{len(rest)} artifacts are not here, though results/checkpoints/smoke, ")
    assert f"`trigact pull {TABLE}`" in said


def test_only_what_its_list_may_hold_is_offered(emptied: Project) -> None:
    never = TAE.replace("pgd", "never")
    with chdir(emptied.folder):
        dvc.forget()
        assert dvc.may_be_published(never), "the list is not here yet"
        assert emptied.trigact("pull", TAE).returncode == 0
        dvc.forget()
        assert dvc.may_be_published(TAE)
        assert not dvc.may_be_published(never)
        assert not dvc.may_be_published("results/cells/smoke/standard/pgd/none.json")
    dvc.forget()


def bad_files(project: Project, origin: Project) -> list[str]:
    """Files below the folders that DVC keeps which the origin has not, or with other bytes."""
    published = origin.contents(*KEPT)
    return [file for file, content in project.contents(*KEPT).items() if published.get(file) != content]


def sabotaged(project: Project, expression: str, *, everyone: bool) -> subprocess.CompletedProcess[str]:
    """A pull in which DVC dies while it writes the first file whose name matches."""
    path = os.pathsep.join([str(Path(__file__).parent / "sabotage"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [str(BIN / "trigact"), "pull", TABLE],
        cwd=project.folder,
        env={
            **os.environ,
            "PYTHONPATH": path,
            "SABOTAGE_PULL": expression,
            **({"SABOTAGE_ALL": "1"} if everyone else {}),
        },
        start_new_session=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


@pytest.fixture(scope="module")
def awaited(smoke_plan: Plan) -> set[str]:
    """What Table VII is made from if its cells are not there, with records."""
    paths = {path for cell in smoke_plan[TABLE].input_paths for path in smoke_plan[cell].input_paths}
    return paths | {f"{path}.prov.json" for path in paths}


Check = Callable[[Project], None]


@pytest.fixture
def check_mended(origin: Project, awaited: set[str]) -> Check:
    """Whether the next pull brings what is awaited and nothing else, and tidies up."""

    def check(project: Project) -> None:
        for path in project.folder.rglob(".*.tmp"):
            os.utime(path, (0, 0))
        result = project.trigact("pull", TABLE)
        assert result.returncode == 0, result.stdout
        assert bad_files(project, origin) == []
        assert awaited <= set(project.contents(*KEPT))
        assert list(project.folder.rglob(".*.tmp")) == []

    return check


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param(r"cache/files/md5/../[0-9a-f]+$", id="while fetching"),
        pytest.param(r"results/.*\.npz$", id="while writing"),
    ],
)
def test_a_killed_pull_leaves_nothing_bad_and_the_next_one_mends_it(
    emptied: Project, origin: Project, check_mended: Check, expression: str
) -> None:
    assert sabotaged(emptied, expression, everyone=True).returncode == -signal.SIGKILL
    assert len(list(emptied.folder.rglob(".*.tmp"))) == 1
    assert all(file.endswith(".tmp") for file in bad_files(emptied, origin))
    check_mended(emptied)


def test_a_pull_whose_dvc_is_killed_says_so(emptied: Project, origin: Project, check_mended: Check) -> None:
    result = sabotaged(emptied, r"results/.*\.safetensors$", everyone=False)
    assert result.returncode == 1
    assert "did not arrive: run it again, or ask who published them (`dvc pull` failed: it was killed)" in result.stdout
    assert "Traceback" not in result.stdout
    assert bad_files(emptied, origin) == []
    check_mended(emptied)


ON_A_SMALL_DISK = """
mkdir disk && mount -t tmpfs -o size=64m tmpfs disk && cp -a clone disk && cd disk/clone || exit 9
head -c $(( ($(df -k --output=avail . | tail -n 1) - $1) * 1024 )) /dev/zero > ../filler
"$2" pull "$3"
status=$?
cd ../.. && rm -rf clone && cp -a disk/clone . && exit $status
"""


@pytest.mark.skipif(not can_mount(), reason="needs user namespaces to mount a small disk")
@pytest.mark.parametrize("free_kib", [100, 250])
def test_a_pull_onto_a_full_disk_says_so_and_the_next_one_mends_it(
    emptied: Project, origin: Project, check_mended: Check, free_kib: int
) -> None:
    script = [*UNSHARE, "sh", "-c", ON_A_SMALL_DISK, "sh", str(free_kib), str(BIN / "trigact"), TABLE]
    result = Project(emptied.folder.parent).execute(script)
    assert result.returncode == 1, result.stdout
    last = result.stdout.splitlines()[-1]
    assert re.fullmatch("trigact: the disk has no room for .*: free some space and run again", last)
    assert "Traceback" not in result.stdout
    assert bad_files(emptied, origin) == []
    check_mended(emptied)


def test_a_damaged_list_at_the_remote_is_named(emptied: Project, origin: Project, check_mended: Check) -> None:
    remote = with_own_remote(emptied, origin.folder.with_name("remote"))
    content = list_of_taes(origin)
    kept = held(remote, content)
    kept.write_bytes(content.replace(b"pgd.npz", b"pge.npz"))
    result = emptied.trigact("pull", TABLE)
    assert result.returncode == 1
    assert result.stdout == (
        "trigact: the list of what is published in results/taes/smoke is damaged at the remote: tell who published it\n"
    )
    kept.write_bytes(content)
    check_mended(emptied)


def list_of_taes(origin: Project) -> bytes:
    """DVC's list of the published TAE sets."""
    (digest,) = re.findall(r"([0-9a-f]{32}\.dir)", (origin.folder / "results/taes/smoke.dvc").read_text())
    return (origin.folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).read_bytes()


def test_all_but_what_the_remote_lost_arrives(emptied: Project, origin: Project, awaited: set[str]) -> None:
    """One record and the bytes of another artifact are not there."""
    remote = with_own_remote(emptied, origin.folder.with_name("remote"))
    lost = f"{TAE}.prov.json", "results/checkpoints/smoke/vgg-s__learn_32/seed0.safetensors"
    for file in lost:
        held(remote, (origin.folder / file).read_bytes()).unlink()
    result = emptied.trigact("pull", TABLE)
    assert result.returncode == 1
    assert all(f"{file} did not arrive" in result.stdout.splitlines()[-1] for file in lost)
    assert awaited - {*lost, TAE} <= set(emptied.contents(*KEPT))
    assert bad_files(emptied, origin) == []
