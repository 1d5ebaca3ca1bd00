"""Nothing that was finished is lost by a fault, and what comes after it is what would have come anyway."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.campaign import FAULTS, NEED_A_MOUNT, Reference, Trial
from tests.faults.tally import Tally
from tests.support.smoke_project import can_mount

COUNT = int(os.environ.get("FAULTS", "6"))
KINDS = [kind for kind in FAULTS if kind not in NEED_A_MOUNT or can_mount()]


@pytest.mark.parametrize("number", range(COUNT))
def test_a_run_survives(number: int, reference: Reference, tmp_path: Path, tally: Tally) -> None:
    kind = KINDS[number % len(KINDS)]
    complaints = FAULTS[kind](Trial(reference, tmp_path / "project", seed=number))
    tally.count("faults", kind, not complaints)
    assert not complaints, f"{kind}: " + "\n".join(complaints)
