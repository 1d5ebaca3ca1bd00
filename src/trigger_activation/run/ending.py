"""How a run ends: at once when a signal says so, and as soon as its last job has ended."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

import psutil

from trigger_activation.run.worker import abandon_jobs

SIGNALS = (signal.SIGTERM, signal.SIGINT)
PATIENCE = 3.0
"""Seconds that Snakemake gets to end by itself after a signal."""
NOTICE = "\nStopped by {}: what is finished stays, and long jobs go on from their last state when you run this again.\n"


def watch() -> None:
    """From now on a signal ends the run, and nothing else keeps it from ending.

    Left to itself Snakemake waits at SIGTERM for the running jobs, which may take days, and at SIGINT too, if that does
    not reach the workers.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # As a shell has it in its background jobs.
            signal.signal(number, _stop)
    threading.Thread(target=_cancel_timers, daemon=True).start()


def ignore_signals() -> None:
    """When nothing is left to do but to tidy up, which `timeout`, for one, would interrupt by a second signal."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)


def _stop(number: int, _: FrameType | None) -> None:
    """Kill the workers, and let Snakemake cancel what it has submitted to a cluster."""
    ignore_signals()
    os.write(2, NOTICE.format(signal.Signals(number).name).encode())
    abandon_jobs()
    signal.signal(signal.SIGALRM, _insist)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE, 1.0)
    raise SystemExit(1)


def _insist(*_: object) -> None:
    """End although Snakemake still waits for something else than that its jobs on a cluster are cancelled."""
    if not any(child.name() in ("sbatch", "scancel") for child in psutil.Process().children(recursive=True)):
        ignore_signals()
        raise SystemExit(1)


def _cancel_timers() -> None:
    """Once the main thread is through, however it ended, let no timer of Snakemake's rate limiter keep the process.

    There is one for most jobs, of the timespan in workflow/profiles/default, and Python waits for them all.
    """
    threading.main_thread().join()
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()
