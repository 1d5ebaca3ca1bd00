"""Warm workers: processes that import a stage's libraries once and then run many jobs.

Snakemake's ``run:`` bodies hand their job to a process pool. Its workers write each job's output to the job's log,
and end when the Snakemake process ends, however it does.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from loky import get_reusable_executor
from loky.process_executor import ShutdownExecutorError, TerminatedWorkerError
from tqdm import tqdm

from trigger_activation.errors import UserError
from trigger_activation.lazy import torch
from trigger_activation.plan.graph import Artifact, Plan
from trigger_activation.plan.kinds import named
from trigger_activation.run.failures import FOR_GOOD, memory_is_full, will_recur
from trigger_activation.run.spec import read_spec, write_spec
from trigger_activation.store.atomic import DISK_IS_FULL, writing_to

WATCH_SECONDS = 1.0
WORKER_ENVIRONMENT = {
    # Training grows a worker by more than loky's default of 300 MB, which it would take for a leak and replace it.
    "LOKY_MAX_MEMORY_LEAK_SIZE": "1e12",
    # Huge pages speed up allocation-heavy training by up to a quarter where the C library knows them.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
_dispatcher = ThreadPoolExecutor(max_workers=1)
"""The one thread that asks loky for its pool: loky gives each thread a pool of its own."""
_abandoned = threading.Event()
"""Whether the run is over before its jobs are."""


def run_job(plan: Plan, artifact: Artifact, log: str, workers: int) -> None:
    """Make an artifact in a worker and wait for it.

    Args:
        plan: where the artifact and the recipes of its inputs stand.
        artifact: what to make.
        log: file for the job's output.
        workers: size of the pool; the same in all calls of a run.

    Raises:
        UserError: the job failed in a way that the user can mend, or its worker died.
        KeyboardInterrupt: see :func:`call`.
    """
    spec = write_spec(plan, artifact)
    try:
        call(workers, perform, str(spec), artifact.recipe, log)
    except TerminatedWorkerError:
        raise UserError(
            f"the worker that made {artifact.path} was killed, probably for want of memory: see {log}, and run again "
            "with fewer --cores"
        ) from None


def call(workers: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a warm worker and wait for its result.

    Raises:
        KeyboardInterrupt: the run has been stopped, which Snakemake takes for no fault of the job.
    """
    try:
        return _pool(workers).submit(function, *arguments).result()
    except (TerminatedWorkerError, ShutdownExecutorError):
        if _abandoned.wait(0.5):  # A signal may reach a worker before this process.
            raise KeyboardInterrupt from None
        raise


def _pool(workers: int) -> Any:
    """The pool, made anew where its workers have died or idled for too long."""
    return _dispatcher.submit(_ask_for_pool, workers).result()


def _ask_for_pool(workers: int) -> Any:
    if _abandoned.is_set():
        raise KeyboardInterrupt
    return get_reusable_executor(  # type: ignore[no-untyped-call]
        max_workers=workers,
        timeout=600,
        initializer=_start,
        initargs=(os.getpid(),),
        env=WORKER_ENVIRONMENT,
    )


def _start(parent: int) -> None:
    """Initializer of a worker: watch the parent."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches every process of a terminal; the parent will see to it.
    # Bars of different workers go to different logs. The lock that tqdm would share between processes outlives a
    # worker that is killed, about which Python then complains on the terminal.
    tqdm.set_lock(threading.RLock())


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


def perform(spec_path: str, recipe: str, log: str) -> None:
    """Run the stage of one job in this process, on a GPU where its kind takes one and the run has one.

    Args:
        spec_path: what to make.
        recipe: that the spec must have.
        log: takes the output; an error is written there too, and passed on.
    """
    from trigger_activation.run.devices import leased_device
    from trigger_activation.run.job import Job, stage_of

    with _output_to(Path(log)):
        spec = read_spec(Path(spec_path), recipe)
        kind = named(spec.kind)
        make = stage_of(kind)
        if not kind.is_rendered:  # What is rendered does without torch, and need not wait for it.
            torch.set_num_threads(spec.parameters.get("threads", 1))
        try:
            with leased_device() if kind.runs_networks else nullcontext() as device:
                make(Job(spec, device))
        except Exception as error:
            raise _explained(error, spec.path) from None


def _explained(error: Exception, path: str) -> Exception:
    """The error as one sentence if the user can mend it; the log gets that, or where in the code it happened."""
    last = [f"\n{FOR_GOOD}"] if will_recur(error) else []
    if remedy := _remedy(error):
        error = UserError(f"{path} could not be made, since {remedy}")
    lines = [str(error)] if isinstance(error, UserError) else traceback.format_exception(error)
    with suppress(OSError):  # The log may be on the disk that is full.
        print("".join([*lines, *last]), flush=True)
    return error


def _remedy(error: Exception) -> str | None:
    """For an error that is no fault of the code: what ran out, and what to do."""
    if isinstance(error, OSError) and error.errno in DISK_IS_FULL:
        return "the disk is full: free some space and run again"
    if memory_is_full(error):
        return "the memory is full: free some, or run again with fewer --cores"
    return None


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send this process's output, that of native code included, to a file."""
    _flush()
    with writing_to(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        stream = log.open("wb")
    saved = os.dup(1), os.dup(2)
    with stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    try:
        yield
    finally:
        _flush()
        for number, descriptor in zip((1, 2), saved, strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()


def stop_workers() -> None:
    """End the pool at the end of a run."""
    _dispatcher.submit(_stop).result()


def abandon_jobs() -> None:
    """Kill the workers in the midst of their jobs, which end by ``KeyboardInterrupt``; for signal handlers: no wait."""
    _abandoned.set()
    _dispatcher.submit(_stop)


def _stop() -> None:
    executor: Any = get_reusable_executor(reuse=True)  # type: ignore[no-untyped-call]
    executor.shutdown(wait=True, kill_workers=True)
