"""``snakemake --profile slurm`` on a real SLURM of one node: what is asked for, and what goes wrong."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cluster.one_node import ACCOUNT, CPUS, OneNode, wait_until
from tests.support.repositories import add_remote, new_repository
from tests.support.smoke_project import ROOT, Project, new_project, processes_in

pytestmark = pytest.mark.slurm

TABLE = "paper_tables/smoke/table3.tex"
CHECKPOINT = "results/checkpoints/smoke/vgg-s__at/seed0.safetensors"
TAES = "results/taes/smoke/vgg-s__standard/seed0/pgd.npz"
DATASET = "results/datasets/fashion16/train.npz"
SNAKEMAKE = (sys.executable, str(Path(__file__).with_name("impatient.py")))
QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
# PyTorch finds none of the devices that play GPUs.
SETTINGS = ("--config", "experiment=smoke", "gpu=optional")
ONCE = ("--retries", "0")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project as it is in a clone: nothing in it says where its jobs go."""
    return with_link(new_project(tmp_path / "project"))


def with_link(project: Project) -> Project:
    (project.folder / "slurm").symlink_to("workflow/profiles/slurm")
    return project


def command(*arguments: str, settings: tuple[str, ...] = SETTINGS, profiles: tuple[str, ...] = ("slurm",)) -> list[str]:
    return [*SNAKEMAKE, *arguments, *(f"--profile={profile}" for profile in profiles), *QUICK, *settings]


def start(
    node: OneNode,
    project: Project,
    *arguments: str,
    settings: tuple[str, ...] = SETTINGS,
    profiles: tuple[str, ...] = ("slurm",),
    **variables: str,
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments, settings=settings, profiles=profiles),
        cwd=project.folder,
        env=node.environment | variables,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def end(run: subprocess.Popen[str], success: bool = True) -> str:
    """What a run printed, which ended as expected."""
    output, _ = run.communicate(timeout=500)
    assert (run.returncode == 0) is success, output
    return output


def jobs(node: OneNode, after: int = 0) -> dict[int, dict[str, str]]:
    """Number -> what the controller remembers of each job that was submitted after another."""
    lines = node.query("scontrol", "show", "jobs", "--oneliner")
    shown = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines if "JobId=" in line]
    return {number: job for job in shown if (number := int(job["JobId"])) > after}


def mebibytes(size: str) -> float:
    """Of a size as SLURM prints it: ``4G``, ``4100M``."""
    return float(size[:-1]) * {"M": 1, "G": 1024}[size[-1]]


def states(node: OneNode, after: int = 0) -> dict[int, str]:
    """Number -> state of each job that was submitted after another."""
    return {number: job["JobState"] for number, job in jobs(node, after).items()}


def newest(node: OneNode, state: str, after: int = 0) -> str:
    """The last submitted job's number, once it is in a state."""
    wait_until(lambda: state in states(node, after).values(), 150, lambda: states(node, after))
    return str(max(number for number, found in states(node, after).items() if found == state))


def becomes(node: OneNode, job: str, state: str) -> None:
    """Wait until a job is in a state."""
    wait_until(lambda: states(node)[int(job)] == state, 120, lambda: states(node))


def test_a_table_is_made_by_jobs_that_ask_for_what_they_need(one_node: OneNode, project: Project) -> None:
    """And go to the default partition of the cluster, as nothing else is said."""
    assert project.run(TAES).returncode == 0
    before, planned = max(jobs(one_node), default=0), project.planned(TABLE)
    end(start(one_node, project, TABLE))
    assert (project.folder / TABLE).exists()
    asked = jobs(one_node, before).values()
    submitted = sum(planned.values()) - planned["table"]
    assert len(asked) == submitted <= 10
    assert {(job["JobState"], job["Partition"], job["TimeLimit"]) for job in asked} == {
        ("COMPLETED", "main", "00:15:00")
    }, "the partition allows less than the 20 minutes that small jobs ask for"
    on_gpus = [job for job in asked if job.get("TresPerJob") == "gres:gpu:1"]
    assert len(on_gpus) == submitted - planned.get("dataset", 0)
    assert all(mebibytes(job["MinMemoryNode"]) >= 4096 for job in asked)


def test_what_was_made_after_the_documentation_to_the_letter_may_be_published(
    one_node: OneNode, tmp_path: Path
) -> None:
    """Partition and account in a profile of one's own, where Snakemake looks for it, and nothing in the clone."""
    project = with_link(new_repository(tmp_path / "project"))
    add_remote(project)
    documented = re.search(r"```yaml\n(# ~/.config/snakemake/mine/config.yaml\n.*?)```", cluster_md(), re.DOTALL)
    assert documented is not None
    profile = yaml.safe_load(documented[1])
    assert profile["default-resources"].keys() == {"slurm_partition", "slurm_account"}
    profile["default-resources"] = {"slurm_partition": "urgent", "slurm_account": ACCOUNT}
    home = tmp_path / "home"
    (home / ".config/snakemake/mine").mkdir(parents=True)
    (home / ".config/snakemake/mine/config.yaml").write_text(yaml.safe_dump(profile))
    before = max(jobs(one_node), default=0)
    end(start(one_node, project, DATASET, profiles=("slurm", "mine"), HOME=str(home)))
    (job,) = jobs(one_node, before).values()
    assert "TresPerJob" not in job
    assert (job["Partition"], job["Account"], job["JobState"]) == ("urgent", ACCOUNT, "COMPLETED")
    published = project.trigact("publish", "smoke")
    assert published.returncode == 0, published.stdout
    assert "git add" in published.stdout


def cluster_md() -> str:
    return (ROOT / "docs/cluster.md").read_text()


def test_a_cancelled_job_is_tried_again(one_node: OneNode, project: Project) -> None:
    """With partition, account and limit from the variables of ``sbatch``."""
    variables = {"SBATCH_PARTITION": "urgent", "SBATCH_ACCOUNT": ACCOUNT, "SBATCH_TIMELIMIT": "17"}
    before = max(jobs(one_node), default=0)
    run = start(one_node, project, DATASET, "--resources", "mem_mb=3000", **variables)
    one_node.query("scancel", newest(one_node, "RUNNING", before))
    end(run)
    assert (project.folder / DATASET).exists()
    submitted = jobs(one_node, before).values()
    assert [job["JobState"] for job in submitted] == ["CANCELLED", "COMPLETED"]
    asked = {(job["Partition"], job["Account"], job["TimeLimit"], job["MinMemoryNode"]) for job in submitted}
    assert asked == {("urgent", ACCOUNT, "00:17:00", "3000M")}


def test_a_preempted_job_comes_back(one_node: OneNode, project: Project) -> None:
    """Without counting as a failure: the run has no second try for it."""
    before = max(jobs(one_node), default=0)
    run = start(one_node, project, DATASET, *ONCE)
    preempted = int(newest(one_node, "RUNNING", before))
    one_node.query("sbatch", "--partition", "urgent", "--ntasks", str(CPUS), "-o", "/dev/null", "--wrap", "sleep 1")
    end(run)
    assert jobs(one_node)[preempted]["Restarts"] == "1"
    assert (project.folder / DATASET).exists()


def test_a_job_out_of_time_is_given_more_and_goes_on(one_node: OneNode, project: Project) -> None:
    log = project.folder / f"results/logs/{CHECKPOINT}.log"
    project.edit("config/protocols/smoke.yaml", "epochs: 2", "epochs: 4000")
    run = start(one_node, project, CHECKPOINT, "--default-resources", "slurm_partition=urgent")
    wait_until(log.exists, 150)
    first = newest(one_node, "RUNNING")
    assert jobs(one_node)[int(first)]["TimeLimit"] == "00:20:00"
    one_node.query("scontrol", "update", f"JobId={first}", "TimeLimit=1")
    second = newest(one_node, "RUNNING", int(first))
    becomes(one_node, first, "TIMEOUT")
    assert jobs(one_node)[int(second)]["TimeLimit"] == "00:40:00"
    wait_until(lambda: log.exists() and "continued from epoch" in log.read_text(), 150, lambda: states(one_node))
    run.send_signal(signal.SIGINT)
    end(run, success=False)
    becomes(one_node, second, "CANCELLED")


def test_a_job_out_of_memory_is_given_more(one_node: OneNode, project: Project) -> None:
    before = max(jobs(one_node), default=0)
    end(start(one_node, project, DATASET, "--set-resources", "dataset:mem_mb=100*attempt**5"))
    states = [(job["JobState"], job["MinMemoryNode"]) for job in jobs(one_node, before).values()]
    assert states == [("FAILED", "100M"), ("COMPLETED", "3200M")]


def test_an_error_that_will_not_change_is_not_tried_again(one_node: OneNode, project: Project) -> None:
    assert project.run(DATASET).returncode == 0
    path = project.folder / DATASET
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    before = max(jobs(one_node), default=0)
    output = end(start(one_node, project, CHECKPOINT), success=False)
    assert f"{DATASET} is damaged" in output
    assert [job["JobState"] for job in jobs(one_node, before).values()] == ["FAILED"]


def test_a_run_in_a_job_that_is_cancelled_ends_with_its_own_jobs(one_node: OneNode, project: Project) -> None:
    project.edit("config/protocols/smoke.yaml", "epochs: 2", "epochs: 4000")
    script = project.folder / "job.sh"
    script.write_text(f"#!/bin/sh\n{shlex.join(command(CHECKPOINT))}\n")
    (line,) = one_node.query("sbatch", "--chdir", str(project.folder), "-o", "said", "--mem", "1000", str(script))
    wait_until((project.folder / f"results/logs/{CHECKPOINT}.log").exists, 200, lambda: states(one_node))
    one_node.query("scancel", line.split()[-1])

    def left() -> list[object]:
        return [*processes_in(project.folder), *one_node.query("squeue", "-h")]

    wait_until(lambda: not left(), 120, left)
    said = (project.folder / "said").read_text()
    assert "Stopped by SIGTERM: what is finished stays" in said
    assert "Traceback" not in said


def slowly(node: OneNode, folder: Path, program: str, only: str) -> tuple[str, Path]:
    """Let one of SLURM's programs take seconds.

    Args:
        folder: a new one for it.
        only: a pattern of the arguments with which it does.

    Returns:
        The PATH on which it is found, and a file that is there while it does not answer yet.
    """
    folder.mkdir()
    busy, script = folder / "busy", folder / program
    real = f'{node.folder}/bin/{program} "$@"'
    slow = f"touch {busy}; sleep 4; {real}; rm {busy}"
    script.write_text(f'#!/bin/sh\ncase "$*" in {only}) {slow};; *) exec {real};; esac\n')
    script.chmod(0o755)
    return f"{folder}:{node.environment['PATH']}", busy


def test_a_run_stopped_while_it_asks_how_its_job_is_cancels_it(one_node: OneNode, project: Project) -> None:
    project.edit("config/protocols/smoke.yaml", "epochs: 2", "epochs: 4000")
    assert project.run(DATASET).returncode == 0
    before = max(jobs(one_node), default=0)
    path, asking = slowly(one_node, project.folder / "slow", "squeue", "*--name*")
    run = start(one_node, project, CHECKPOINT, PATH=path)
    training = newest(one_node, "RUNNING", before)
    wait_until(asking.exists, 120)
    run.send_signal(signal.SIGTERM)
    end(run, success=False)
    becomes(one_node, training, "CANCELLED")


def test_a_run_stopped_while_it_submits_leaves_nothing_in_the_queue(one_node: OneNode, project: Project) -> None:
    """Neither jobs that are being submitted, two at a time, nor those that wait for it."""
    assert project.run(DATASET).returncode == 0
    before = max(jobs(one_node), default=0)
    path, submitting = slowly(one_node, project.folder / "slow", "sbatch", "*")
    networks = [CHECKPOINT.replace("at/", f"{paradigm}/") for paradigm in ("at", "standard", "fixed_64", "learn_32")]
    run = start(one_node, project, *networks, PATH=path)
    wait_until(submitting.exists, 120)
    run.send_signal(signal.SIGTERM)
    end(run, success=False)
    assert set(states(one_node, before).values()) <= {"CANCELLED"}
    assert len(states(one_node, before)) <= 2


def test_jobs_of_a_run_in_a_container_take_the_python_on_their_path(one_node: OneNode, project: Project) -> None:
    """Which starts the container again: with the options of docs/cluster.md, here without a container."""
    (options,) = re.findall(r"^ +(--shared-fs-usage .*)$", cluster_md(), re.MULTILINE)
    folder = project.folder / "in-container"
    folder.mkdir()
    python = folder / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    end(start(one_node, project, DATASET, *options.split(), PATH=f"{folder}:{one_node.environment['PATH']}"))
    assert (project.folder / DATASET).exists()
    calls = (folder / "calls").read_text().splitlines()
    assert any("-m snakemake" in call and "--target-jobs dataset:" in call for call in calls), calls


def test_config_may_be_edited_while_jobs_wait(one_node: OneNode, project: Project) -> None:
    blockers = [one_node.query("sbatch", "--wrap", "sleep 600", "-o", "/dev/null") for _ in range(CPUS)]
    blocked = len(jobs(one_node))
    run = start(one_node, project, CHECKPOINT)
    wait_until(lambda: len(jobs(one_node)) > blocked, 60)
    project.edit("config/protocols/smoke.yaml", "epochs: 2", "epochs: 3")
    for (line,) in blockers:
        one_node.query("scancel", line.split()[-1])
    end(run)
    assert project.planned(CHECKPOINT) == {"checkpoint": 1}


def test_a_partition_that_is_not_there_is_refused(one_node: OneNode, project: Project) -> None:
    output = end(start(one_node, project, CHECKPOINT, "--default-resources", "slurm_partition=nowhere"), success=False)
    assert "there is no partition 'nowhere': sinfo -s lists them" in output


def test_settings_of_the_command_line_do_not_replace_the_clusters(one_node: OneNode, project: Project) -> None:
    """A run with any ``--config`` is still one of the profile's experiment."""
    settings = project.folder / "workflow/profiles/slurm/settings.yaml"
    settings.write_text("experiment: smoke\n")
    output = end(start(one_node, project, "--dry-run", settings=("--config", "allow_missing=false")))
    assert "paper_tables/smoke/table1.tex" in output
    assert "paper_tables/demo/" not in output
