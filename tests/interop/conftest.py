"""What all interop tests stand on."""

import pytest

from tests.interop.node import Node, node_or_skip


@pytest.fixture(scope="session")
def node() -> Node:
    """Node with the packages of this folder."""
    return node_or_skip()
