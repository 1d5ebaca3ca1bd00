"""A real cluster of one node for the whole session."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.cluster.one_node import OneNode


@pytest.fixture(scope="session")
def one_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneNode]:
    """The cluster, running; tests are skipped where its daemons cannot be started."""
    node = OneNode(tmp_path_factory.mktemp("slurm"))
    try:
        node.start()
    except (subprocess.CalledProcessError, TimeoutError) as error:
        node.stop()
        pytest.skip(f"SLURM does not start on this machine: {error}")
    try:
        yield node
    finally:
        node.stop()
