"""What the campaigns share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.campaign import Reference
from tests.support.smoke_project import Project
from trigger_activation.plan import Plan, build_plan
from trigger_activation.plan.config import load_config


@pytest.fixture(scope="session")
def smoke_plan(finished: Project) -> Plan:
    """What the finished run was made from."""
    return build_plan(load_config(finished.folder / "config"))


@pytest.fixture(scope="session")
def reference(finished: Project, smoke_plan: Plan) -> Reference:
    """What runs are compared with."""
    return Reference.of(finished, smoke_plan)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)
