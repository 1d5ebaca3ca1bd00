"""Signals at a run with warm workers, however it was started: it ends at once, and nothing is left of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.smoke_project import BIN, ROOT, processes_in

SECONDS = 5.0
SNAKEFILE = """
import time
from pathlib import Path
from trigger_activation.run.ending import watch
from trigger_activation.run.worker import call, stop_workers

rule all:
    input: "quick", "long", "waiting"

rule quick:
    output: touch("quick")
    priority: 1
    run: call(workflow.cores, abs, 1)

rule long:
    output: touch("long")
    run:
        Path("started").touch()
        call(workflow.cores, time.sleep, 600)

rule waiting:
    input: "long"
    output: touch("waiting")
    run: call(workflow.cores, abs, 1)

onstart: watch()
onsuccess: stop_workers()
onerror: stop_workers()
"""
CONTAINER = ("unshare", "--map-root-user", "--pid", "--mount-proc", "--fork")
Sender = Callable[[subprocess.Popen[str], signal.Signals], None]


def to_main(run: subprocess.Popen[str], number: signal.Signals) -> None:
    run.send_signal(number)


def to_all(run: subprocess.Popen[str], number: signal.Signals) -> None:
    os.killpg(run.pid, number)


def to_first_of_container(run: subprocess.Popen[str], number: signal.Signals) -> None:
    (first,) = psutil.Process(run.pid).children()
    first.send_signal(number)


def has_namespaces() -> bool:
    """Whether this system lets its users start containers."""
    found = shutil.which(CONTAINER[0])
    return found is not None and subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode == 0


def listening() -> None:
    """As in a terminal, also where the tests are a shell's background job, which ignores SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize(
    ("before", "number", "send", "options"),
    [
        pytest.param((), signal.SIGTERM, to_main, (), id="terminated"),
        pytest.param((), signal.SIGINT, to_main, ("--keep-going",), id="main process interrupted"),
        pytest.param((), signal.SIGTERM, to_all, ("--keep-going",), id="all terminated"),
        pytest.param((), signal.SIGINT, to_all, (), id="Ctrl-C"),
        pytest.param(("timeout", "600"), signal.SIGTERM, to_main, (), id="timeout"),
        pytest.param(
            CONTAINER,
            signal.SIGTERM,
            to_first_of_container,
            (),
            id="first process of a container",
            marks=pytest.mark.skipif(not has_namespaces(), reason="this system gives its users no namespaces"),
        ),
    ],
)
def test_a_signal_ends_a_run_at_once(
    before: tuple[str, ...], number: signal.Signals, send: Sender, options: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    profile = ROOT / "workflow/profiles/default"
    command = [*before, str(BIN / "snakemake"), "--cores", "2", "--workflow-profile", str(profile), *options]
    with (tmp_path / "log").open("w") as log:
        run = subprocess.Popen(
            command,
            cwd=tmp_path,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=listening,
        )
    while not ((tmp_path / "started").exists() and (tmp_path / "quick").exists()):
        assert run.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.1)
    send(run, number)
    assert run.wait(SECONDS) != 0
    said = (tmp_path / "log").read_text()
    assert f"Stopped by {number.name}: what is finished stays" in said
    assert "Traceback" not in said
    assert "memory" not in said, "a worker that the signal met is no victim of the system"
    assert not psutil.wait_procs(processes_in(tmp_path), timeout=SECONDS)[1]
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"Snakefile", "log", "quick", "started"}
