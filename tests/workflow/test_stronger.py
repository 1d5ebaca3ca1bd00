"""Studies of attackers who know more than a surrogate, as Snakemake plans them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import projects
from tests.support.smoke_project import Project
from tests.support.stronger import with_stronger_tables

pytestmark = pytest.mark.workflow
STUDIES = "results/cells/smoke/measured/informed"


@pytest.mark.parametrize(
    ("study", "needed"),
    [
        ("victim/eot_pgd/diffpure", {"checkpoint": 2, "helper": 1, "dataset": 2}),
        ("trigger/mifgsm/fixed_64", {"checkpoint": 4, "dataset": 2}),
    ],
)
def test_a_study_builds_only_what_it_needs(study: str, needed: dict[str, int], fresh: Project) -> None:
    project = projects.Project(Path(fresh.folder))
    with_stronger_tables(project, "smoke", "smoke", surrogates=2)
    with project.edited("protocols/smoke.yaml") as protocol:
        protocol["seeds"] = {"default": 2}
    assert fresh.planned(f"{STUDIES}/{study}.json") == {**needed, "informed": 1}
