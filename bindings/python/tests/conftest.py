"""The fixture of all tests: a real server."""

from collections.abc import Iterator

import pytest

from real_server import RealServer


@pytest.fixture
def new_server() -> Iterator[RealServer]:
    """A server that the test has to start, with flags for example."""
    with RealServer() as server:
        yield server


@pytest.fixture
def server(new_server: RealServer) -> RealServer:
    """A server that runs."""
    new_server.start()
    return new_server
