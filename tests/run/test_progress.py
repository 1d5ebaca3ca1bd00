"""What a user reads while a run works."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.support.projects import Given
from trigger_activation.plan import Artifact, kinds
from trigger_activation.run import progress
from trigger_activation.run.progress import Progress, duration


def artifact(kind: str, name: str = "a") -> Artifact:
    row = replace(kinds.named(kind), pattern="results/{name}.npz")
    return Artifact(row, {"name": name}, Given({}), {}, {})


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (60, "1 min 0 s"),
        (75, "1 min 15 s"),
        (3599, "59 min 59 s"),
        (3599.7, "1 h 0 min"),
        (3600, "1 h 0 min"),
        (5400, "1 h 30 min"),
        (100_000, "27 h 46 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_line_counts_the_jobs_and_names_the_file(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    watched = Progress()
    watched.begin({"tae": 2})
    clock.now += 10
    watched.finished(artifact("tae", "first"), 10.0)
    assert capsys.readouterr().err == "[1/2] results/first.npz  10.0 s  (about 10 s left)\n"


def test_the_last_line_estimates_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    watched = Progress()
    watched.begin({"tae": 1})
    clock.now += 3
    watched.finished(artifact("tae"), 3.0)
    assert capsys.readouterr().err == "[1/1] results/a.npz  3.0 s\n"


def test_counts_are_aligned(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    watched = Progress()
    watched.begin({"tae": 100})
    clock.now += 1
    watched.finished(artifact("tae"), 1.0)
    assert capsys.readouterr().err.startswith("[  1/100] ")


def test_two_jobs_at_a_time_halve_the_estimate(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    watched = Progress()
    watched.begin({"tae": 4})
    clock.now += 10  # two jobs of ten seconds, side by side
    watched.finished(artifact("tae"), 10.0)
    watched.finished(artifact("tae"), 10.0)
    assert capsys.readouterr().err.splitlines()[1].endswith("(about 10 s left)")


def test_kinds_that_were_not_timed_yet_are_weighted(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    watched = Progress()
    watched.begin({"tae": 1, "checkpoint": 1})
    clock.now += 2
    watched.finished(artifact("tae"), 2.0)
    assert kinds.CHECKPOINT.weight
    assert kinds.TAE.weight
    weight = kinds.CHECKPOINT.weight / kinds.TAE.weight
    assert capsys.readouterr().err.endswith(f"(about {duration(2 * weight)} left)\n")


def test_the_first_jobs_which_warm_up_the_workers_give_no_estimate(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = Progress()
    watched.begin({"dataset": 1, "checkpoint": 1})
    clock.now += 7
    watched.finished(artifact("dataset"), 7.0)
    assert capsys.readouterr().err == "[1/2] results/a.npz  7.0 s\n"


def test_timed_kinds_replace_their_weights(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    watched = Progress()
    watched.begin({"tae": 1, "checkpoint": 2})
    for kind, seconds in (("tae", 2.0), ("checkpoint", 3.0)):
        clock.now += seconds
        watched.finished(artifact(kind), seconds)
    assert capsys.readouterr().err.splitlines()[1].endswith("(about 3 s left)")


def test_jobs_that_take_no_time_give_no_estimate(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001
    watched = Progress()
    watched.begin({"tae": 2})
    watched.finished(artifact("tae"), 0.0)
    assert capsys.readouterr().err == "[1/2] results/a.npz  0.0 s\n"


def test_a_kind_without_a_weight_is_no_error(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    watched = Progress()
    watched.begin({"page": 2, "tae": 1})
    clock.now += 1
    watched.finished(artifact("tae"), 1.0)
    assert "left)" in capsys.readouterr().err


def test_elapsed_starts_with_the_run(clock: Clock) -> None:
    watched = Progress()
    clock.now += 50
    watched.begin({})
    clock.now += 5
    assert watched.elapsed == 5


def test_lines_of_several_threads_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    watched = Progress()
    watched.begin({"tae": 50})
    threads = [threading.Thread(target=watched.finished, args=(artifact("tae"), 1.0)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = capsys.readouterr().err.splitlines()
    assert [int(line[1:3]) for line in lines] == list(range(1, 51))
