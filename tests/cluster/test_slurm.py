"""``snakemake --profile slurm`` on a real SLURM of one node: what is asked for, and what goes wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.cluster.one_node import CPUS, OneNode, wait_until
from tests.support.smoke_project import BIN, Project, new_project

pytestmark = pytest.mark.slurm

TABLE = "paper_tables/smoke/table3.tex"
CHECKPOINT = "results/checkpoints/smoke/vgg-s__at/seed0.safetensors"
QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose cluster settings name the node's partition."""
    project = new_project(tmp_path / "project")
    (project.folder / "slurm").symlink_to("workflow/profiles/slurm")
    settings = project.folder / "workflow/profiles/slurm/settings.yaml"
    # PyTorch finds none of the devices that play GPUs.
    changes = {"experiment": "smoke", "gpu": "optional", "cluster": {"partition": "main"}}
    settings.write_text(yaml.safe_dump({**yaml.safe_load(settings.read_text()), **changes}))
    return project


def command(*arguments: str) -> list[str]:
    return [str(BIN / "snakemake"), *arguments, "--profile", "slurm", *QUICK]


def start(node: OneNode, project: Project, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments),
        cwd=project.folder,
        env=node.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def jobs(node: OneNode) -> dict[int, dict[str, str]]:
    """Number -> what the controller remembers of each job."""
    lines = node.query("scontrol", "show", "jobs", "--oneliner")
    shown = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines if "JobId=" in line]
    return {int(job["JobId"]): job for job in shown}


def mebibytes(size: str) -> float:
    """Of a size as SLURM prints it: ``4G``, ``4100M``."""
    return float(size[:-1]) * {"M": 1, "G": 1024}[size[-1]]


def newest(node: OneNode, state: str) -> str:
    """The last submitted job's number, once it is in a state."""

    def found() -> list[int]:
        return [number for number, job in jobs(node).items() if job["JobState"] == state]

    wait_until(lambda: bool(found()), 90)
    return str(max(found()))


def test_a_table_is_made_by_jobs_that_ask_for_what_they_need(one_node: OneNode, project: Project) -> None:
    before, planned = jobs(one_node).keys(), project.planned(TABLE)
    output, _ = (run := start(one_node, project, TABLE)).communicate(timeout=500)
    assert run.returncode == 0, output
    assert (project.folder / TABLE).exists()
    asked = [job for number, job in jobs(one_node).items() if number not in before]
    submitted = sum(planned.values()) - planned["table"]
    assert len(asked) == submitted <= 20
    assert {(job["JobState"], job["Partition"], job["TimeLimit"]) for job in asked} == {
        ("COMPLETED", "main", "00:15:00")
    }, "the partition allows less than the 20 minutes that small jobs ask for"
    on_gpus = [job for job in asked if job.get("TresPerJob") == "gres:gpu:1"]
    assert len(on_gpus) == submitted - planned["dataset"]
    assert all(mebibytes(job["MinMemoryNode"]) >= 4096 for job in asked)


def test_a_cancelled_job_is_tried_again(one_node: OneNode, project: Project) -> None:
    run = start(one_node, project, CHECKPOINT)
    job = newest(one_node, "RUNNING")
    one_node.query("scancel", job)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert (project.folder / CHECKPOINT).exists()


def test_a_preempted_job_comes_back(one_node: OneNode, project: Project) -> None:
    """Without counting as a failure: the run has no second try for it."""
    run = start(one_node, project, CHECKPOINT, "--retries", "0")
    preempted = int(newest(one_node, "RUNNING"))
    one_node.query("sbatch", "--partition", "urgent", "--ntasks", str(CPUS), "-o", "/dev/null", "--wrap", "sleep 1")
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert jobs(one_node)[preempted]["Restarts"] == "1"
    assert (project.folder / CHECKPOINT).exists()


def test_a_job_out_of_time_ends_the_run_with_its_name_and_goes_on_in_the_next(
    one_node: OneNode, project: Project
) -> None:
    log = project.folder / f"results/logs/{CHECKPOINT}.log"
    project.edit("config/protocols/smoke.yaml", "epochs: 2", "epochs: 4000")
    run = start(one_node, project, CHECKPOINT, "--retries", "0")
    wait_until(log.exists, 120)
    job = newest(one_node, "RUNNING")
    one_node.query("scontrol", "update", f"JobId={job}", "TimeLimit=1")
    output, _ = run.communicate(timeout=300)
    assert run.returncode != 0
    assert "TIMEOUT" in output
    assert not (project.folder / CHECKPOINT).exists()
    again = start(one_node, project, CHECKPOINT, "--retries", "0")
    wait_until(lambda: log.exists() and "continued from epoch" in log.read_text(), 120)
    one_node.query("scancel", newest(one_node, "RUNNING"))
    again.communicate(timeout=300)
    assert again.returncode != 0


def test_a_job_out_of_memory_ends_the_run_and_the_next_one_mends_it(one_node: OneNode, project: Project) -> None:
    run = start(one_node, project, CHECKPOINT, "--retries", "0", "--set-resources", "checkpoint:mem_mb=300")
    output, _ = run.communicate(timeout=300)
    assert run.returncode != 0, output
    assert not (project.folder / CHECKPOINT).exists()
    run = start(one_node, project, CHECKPOINT)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output


def test_config_may_be_edited_while_jobs_wait(one_node: OneNode, project: Project) -> None:
    blockers = [one_node.query("sbatch", "--wrap", "sleep 600", "-o", "/dev/null") for _ in range(CPUS)]
    blocked = len(jobs(one_node))
    run = start(one_node, project, CHECKPOINT)
    wait_until(lambda: len(jobs(one_node)) > blocked, 60)
    project.edit("config/protocols/smoke.yaml", "epochs: 2", "epochs: 3")
    for (line,) in blockers:
        one_node.query("scancel", line.split()[-1])
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert project.planned(CHECKPOINT) == {"checkpoint": 1}


@pytest.mark.parametrize(
    ("cluster", "sentence"),
    [({"partition": None}, "no partition is set: write yours"), ({"partition": "nowhere"}, "nowhere")],
)
def test_a_partition_that_is_not_there(
    one_node: OneNode, project: Project, cluster: dict[str, str], sentence: str
) -> None:
    settings = project.folder / "workflow/profiles/slurm/settings.yaml"
    settings.write_text(yaml.safe_dump({"experiment": "smoke", "cluster": cluster}))
    output, _ = (run := start(one_node, project, CHECKPOINT, "--retries", "0")).communicate(timeout=120)
    assert run.returncode != 0
    assert sentence in output


def test_settings_of_the_command_line_do_not_replace_the_clusters(one_node: OneNode, project: Project) -> None:
    """A run with any ``--config`` is still one of the profile's experiment."""
    call = [str(BIN / "snakemake"), "--dry-run", "--profile", "slurm", "--config", "allow_missing=false"]
    result = subprocess.run(
        call, cwd=project.folder, env=one_node.environment, text=True, capture_output=True, check=False
    )
    assert "paper_tables/smoke/table1.tex" in result.stdout
    assert "paper_tables/demo/" not in result.stdout
