"""What the campaigns count."""

from __future__ import annotations

from collections import Counter

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
