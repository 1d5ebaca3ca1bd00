"""What the campaigns count, summed over the processes that pytest-xdist spreads the tests over, and its table."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

CAMPAIGNS = {
    "faults": "faults survived",
    "corruptions": "corruptions detected and named",
    "inputs": "bad inputs answered in one sentence",
    "bytes": "artifacts with the same bytes",
}


class Tally:
    """Of each campaign and what it tried: how often it tried, and how often that ended well."""

    def __init__(self) -> None:
        self.tried: Counter[tuple[str, str]] = Counter()
        self.good: Counter[tuple[str, str]] = Counter()

    def count(self, campaign: str, what: str, good: bool) -> None:
        """One more try."""
        self.tried[campaign, what] += 1
        self.good[campaign, what] += good

    def lines(self, details: bool) -> list[str]:
        """The table: a line for each campaign, with ``details`` one for each thing tried."""
        found = []
        for campaign, title in CAMPAIGNS.items():
            tried = [key for key in self.tried if key[0] == campaign]
            if not tried:
                continue
            rows = [(title, tried), *((f"  {key[1]}", [key]) for key in tried if details)]
            for name, keys in rows:
                good, total = (sum(counts[key] for key in keys) for counts in (self.good, self.tried))
                found.append(f"{name:<50}{good:>6} /{total:>6}")
        return found


TALLY = Tally()


@pytest.fixture(scope="session")
def tally() -> Tally:
    """Where campaigns count."""
    return TALLY


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands on what it counted."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tally"] = [(*key, TALLY.good[key], TALLY.tried[key]) for key in TALLY.tried]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:  # noqa: ARG001
    """Add what a worker handed on."""
    for campaign, what, good, tried in getattr(node, "workeroutput", {}).get("tally", ()):
        TALLY.good[campaign, what] += good
        TALLY.tried[campaign, what] += tried


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if TALLY.tried:
        terminalreporter.section("campaigns")
        for line in TALLY.lines(details=terminalreporter.verbosity > 0):
            terminalreporter.write_line(line)
