"""A real cluster of one node for the whole session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.one_node import OneNode


@pytest.fixture(scope="session")
def one_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneNode]:
    """The cluster, running."""
    node = OneNode(tmp_path_factory.mktemp("slurm"))
    node.start()
    try:
        yield node
    finally:
        node.stop()
