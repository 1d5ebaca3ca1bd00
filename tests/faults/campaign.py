"""Faults at random moments of a run, and how to tell that nothing was lost by them."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from tests.support.smoke_project import QUIET, UNSHARE, Project, new_project, processes_in, scramble_times
from trigger_activation.plan import Artifact, Plan
from trigger_activation.store.atomic import PARTIAL
from trigger_activation.store.lock import LOCK
from trigger_activation.store.records import SEAL, is_json, sidecar

CELLS = ("results/cells/smoke/standard/pgd/at.json", "results/cells/smoke/standard/pgd/learn_32.json")
"""What the runs of the campaign are asked for: two cells, and behind them six networks and two TAE sets."""
SECONDS = 150.0
"""After so long a run counts as hanging."""
ENDING_SECONDS = 5.0
"""After a signal that asks a run to end."""
MAY_DIFFER = {"environment", "images_per_second", SEAL}
"""Keys of a record that tell where, when and how fast it was made, and the sum over them."""


@dataclass(frozen=True)
class Reference:
    """The finished run that nobody disturbed, and which of its files a run of the campaign makes."""

    project: Project
    artifacts: tuple[Artifact, ...]
    all_files: frozenset[str]

    @classmethod
    def of(cls, project: Project, plan: Plan) -> Reference:
        """What the cells of the campaign need."""
        return cls(project, tuple(plan.upstream(CELLS)), frozenset(project.files()))

    def differences(self, project: Project, files: Iterable[str]) -> list[str]:
        """Files that are absent, or of other bytes; of records, what may differ is left out."""
        return [file for file in files if _bytes(project, file) != _bytes(self.project, file)]


def files_of(artifact: Artifact) -> list[str]:
    """All files that its job writes, records among them."""
    binary = [file for file in (*artifact.files, *artifact.by_products) if not is_json(file)]
    owners = [path for path in (artifact.path, *artifact.by_products) if not is_json(path)]
    return [*{artifact.path, *binary}, *(str(sidecar(path)) for path in owners)]


def _bytes(project: Project, file: str) -> bytes | None:
    path = project.folder / file
    if not path.exists():
        return None
    if not file.endswith(".prov.json"):
        return path.read_bytes()
    record = json.loads(path.read_text(), object_hook=_what_must_not_differ)
    return json.dumps(record).encode()


def _what_must_not_differ(mapping: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in mapping.items() if key not in MAY_DIFFER}


class Trial:
    """A project in which the cells have to be made, and the randomness of the fault that meets them."""

    def __init__(self, reference: Reference, folder: Path, seed: int) -> None:
        self.reference = reference
        self.random = random.Random(seed)
        self.project = new_project(folder)
        self.log = folder.with_suffix(".log")
        self.present = [a for a in reference.artifacts if a.path not in CELLS and self.random.random() < 0.25]
        for artifact in self.present:
            self._copy(artifact)
        self.missing = self._missing()

    def _missing(self) -> list[Artifact]:
        """What runs have to make: of what is not there, what something else needs."""
        needed, found = set(CELLS), []
        for artifact in reversed(self.reference.artifacts):
            if artifact.path in needed and artifact not in self.present:
                needed.update(artifact.input_paths)
                found.append(artifact)
        return found

    def _copy(self, artifact: Artifact) -> None:
        for file in files_of(artifact):
            (self.project.folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.reference.project.folder / file, self.project.folder / file)

    def commit(self) -> None:
        """Bring the cells, as git would, without what they are made from."""
        for artifact in self.reference.artifacts:
            if artifact.path in CELLS:
                self._copy(artifact)

    def start(
        self, *options: str, environment: Mapping[str, str] | None = None, mount: str = ""
    ) -> subprocess.Popen[bytes]:
        """Start a run; its output is added to the log.

        Args:
            options: further ones of Snakemake.
            environment: variables for it.
            mount: a command that mounts something first, in a namespace of its own.
        """
        command = self.project.command(*CELLS, *options, *QUIET, cores=self.random.choice([1, 2]))
        if mount:
            command = [*UNSHARE, "sh", "-c", f'{mount} && exec "$@"', "sh", *command]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.project.folder,
                env={**os.environ, **(environment or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def started(self, *options: str) -> subprocess.Popen[bytes]:
        """A run at a random moment of its jobs."""
        run = self.start(*options)
        awaited = self.random.randrange(len(self.missing))
        _wait_until(lambda: run.poll() is not None or (bool(self.workers()) and self._made() >= awaited))
        time.sleep(self.random.uniform(0, 0.5))
        return run

    def _made(self) -> int:
        return sum(all((self.project.folder / file).exists() for file in files_of(a)) for a in self.missing)

    def processes(self) -> list[psutil.Process]:
        """Everything that runs in the project's folder."""
        return processes_in(self.project.folder)

    def workers(self) -> list[psutil.Process]:
        """The warm workers."""
        return [process for process in self.processes() if _is_worker(process)]

    def complaints(self, expected: str = "", plain: bool = True) -> list[str]:
        """What is wrong once the disturbed run has ended and another one followed.

        Args:
            expected: what the disturbed run had to say, if it failed.
            plain: whether it had to say that in sentences.
        """
        found = []
        said = self.log.read_text(errors="replace")
        if (plain and "Traceback" in said) or expected not in said:
            found.append(f"it said: {said[-1500:]}")
        found += self._leftovers()
        finished = self._finished()
        again = self.start()
        if _ended(again) != 0:
            return [*found, f"the next run failed: {self.log.read_text(errors='replace')[-1500:]}"]
        found += self._leftovers()
        found += [f"made again: {file}" for file, state in finished.items() if self._state(file) != state]
        awaited = [file for artifact in (*self.present, *self.missing) for file in files_of(artifact)]
        found += [f"differs: {file}" for file in self.reference.differences(self.project, awaited)]
        found += [f"left over: {file}" for file in sorted(self.project.files() - self.reference.all_files)]
        return found

    def _leftovers(self) -> list[str]:
        """Processes that have not ended with their run, and a lock that they hold."""
        _wait_until(lambda: not self.processes(), seconds=10)
        found = [f"still running: {' '.join(process.cmdline())}" for process in self.processes()]
        try:
            with FileLock(self.project.folder / LOCK, timeout=0):
                return found
        except Timeout:
            return [*found, "the lock is still held"]

    def _finished(self) -> dict[str, tuple[int, float]]:
        """The state of the files that need not be made again, since they and their records are there."""
        artifacts = [a for a in self.reference.artifacts if not self.reference.differences(self.project, files_of(a))]
        return {file: self._state(file) for artifact in artifacts for file in files_of(artifact)}

    def _state(self, file: str) -> tuple[int, float]:
        state = (self.project.folder / file).stat()
        return state.st_ino, min(state.st_mtime, self._now)

    @cached_property
    def _now(self) -> float:
        """Times in the future are forgiven, and may change to this one or a later one."""
        return time.time()


Fault = Callable[[Trial], list[str]]
"""Lets something happen to a run, and returns what is wrong after the next one; nothing, if the project survived."""


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "LokyProcess" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def _wait_until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def _ended(run: subprocess.Popen[bytes], seconds: float = SECONDS) -> int | None:
    """The exit status; None, and no more processes, if the run hangs."""
    try:
        return run.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        return None


def _hung(run: subprocess.Popen[bytes], seconds: float = SECONDS) -> list[str]:
    return [f"the disturbed run did not end in {seconds:g} s"] if _ended(run, seconds) is None else []


def _lingered(trial: Trial, run: subprocess.Popen[bytes]) -> list[str]:
    """What is wrong with a run that was asked to end, unless it was done."""
    found = _hung(run, ENDING_SECONDS)
    found += [f"half-written: {file}" for file in trial.project.files() if PARTIAL in file]
    if run.returncode == 0 and trial.reference.differences(trial.project, CELLS):
        found.append("it ended as if it were done")
    return found


def signalled(number: signal.Signals, everyone: bool = False) -> Fault:
    """A signal to the main process, or to all of them as a terminal sends it."""

    def fault(trial: Trial) -> list[str]:
        run = trial.started()
        if run.poll() is None:
            (os.killpg if everyone else os.kill)(run.pid, number)
        found = _hung(run) if number == signal.SIGKILL else _lingered(trial, run)
        return [*found, *trial.complaints()]

    return fault


def worker_signalled(number: signal.Signals) -> Fault:
    """A signal to one of the workers, as the system sends it when memory runs out."""

    def fault(trial: Trial) -> list[str]:
        run = trial.started()
        if workers := trial.workers():
            with suppress(psutil.NoSuchProcess):
                trial.random.choice(workers).send_signal(number)
        return [*_hung(run), *trial.complaints()]

    return fault


def dying_at_a_write(victim: str) -> Fault:
    """The writer dies when half of a file has reached the disk, or the main process when a worker is about to end."""

    def fault(trial: Trial) -> list[str]:
        write = str(trial.random.randint(1, 8))
        path = os.pathsep.join([str(Path(__file__).parent / "sabotage"), os.environ.get("PYTHONPATH", "")])
        run = trial.start(environment={"PYTHONPATH": path, "SABOTAGE_WRITE": write, "SABOTAGE_VICTIM": victim})
        return [*_hung(run), *trial.complaints()]

    return fault


def out_of_memory(trial: Trial) -> list[str]:
    """The workers get no more memory than they have: any line of anybody's code may be the one that fails."""
    run = trial.started()
    for worker in trial.workers():
        with suppress(psutil.NoSuchProcess):
            size = worker.memory_info().vms + trial.random.randrange(2**24)
            worker.rlimit(psutil.RLIMIT_AS, (size, size))
    return [*_hung(run), *trial.complaints(plain=False)]


FOLDERS = [f"results/{name}" for name in ("checkpoints", "taes", "cells", "predictions", "logs", "specs")]


def mounted(options: Callable[[random.Random], str], sentences: tuple[str, ...]) -> Fault:
    """One of the folders lies on another disk for the length of a run."""

    def fault(trial: Trial) -> list[str]:
        folder = trial.random.choice(FOLDERS)
        (trial.project.folder / folder).mkdir(parents=True, exist_ok=True)
        run = trial.start(mount=f"mount -t tmpfs -o {options(trial.random)} tmpfs {folder}")
        found, said = _hung(run), trial.log.read_text(errors="replace")
        if run.returncode != 0 and not any(sentence in said for sentence in sentences):
            found.append(f"{folder} was not named as the reason")
        return [*found, *trial.complaints()]

    return fault


def clock_set_back(trial: Trial) -> list[str]:
    """A run is killed, and the next one finds files of the past and the future."""
    run = trial.started()
    run.kill()
    run.wait()
    _wait_until(lambda: not trial.processes(), seconds=10)
    scramble_times(trial.project, trial.random.randrange(2**32))
    return trial.complaints()


def two_at_once(trial: Trial) -> list[str]:
    """A second run starts at a random moment of the first."""
    runs = [trial.start()]
    if trial.random.random() < 0.5:
        _wait_until(lambda: runs[0].poll() is not None or bool(trial.workers()))
        time.sleep(trial.random.uniform(0, 3))
    runs.append(trial.start())
    ended = [_ended(run) for run in runs]
    found = [] if 0 in ended else [f"the two runs ended with {ended}"]
    refused = "" if ended == [0, 0] else "another run"
    return [*found, *trial.complaints(refused)]


def forced(trial: Trial) -> list[str]:
    """Committed cells are asked for by -f where not all that they are made from is here, and the run is terminated."""
    trial.commit()
    run = trial.started("--force")
    if run.poll() is None:
        run.terminate()
    found = _lingered(trial, run)
    found += [f"lost or changed: {file}" for file in trial.reference.differences(trial.project, CELLS)]
    for file in CELLS:  # What they are made from is asked for by nothing else.
        (trial.project.folder / file).unlink(missing_ok=True)
    return [*found, *trial.complaints()]


FULL_DISK = ("the disk is full",)
READ_ONLY = ("cannot be written",)
FAULTS: Mapping[str, Fault] = {
    "main process killed": signalled(signal.SIGKILL),
    "writer killed in mid-write": dying_at_a_write("writer"),
    "main process killed at a write": dying_at_a_write("main"),
    "interrupted from the keyboard": signalled(signal.SIGINT, everyone=True),
    "worker killed": worker_signalled(signal.SIGKILL),
    "no memory left for workers": out_of_memory,
    "main process terminated": signalled(signal.SIGTERM),
    "all processes terminated": signalled(signal.SIGTERM, everyone=True),
    "main process interrupted": signalled(signal.SIGINT),
    "worker terminated": worker_signalled(signal.SIGTERM),
    "two runs at once": two_at_once,
    "committed cells forced": forced,
    "clock set back": clock_set_back,
    "disk full": mounted(lambda chance: f"size={chance.choice([4, 8, 20, 60])}k", FULL_DISK),
    "folder read-only": mounted(lambda _: "ro", READ_ONLY),
}
"""The first ones are those of a short campaign."""
NEED_A_MOUNT = ("disk full", "folder read-only")
