"""The fixture of all tests: a real server."""

import signal
from collections.abc import Iterator

import pytest

from real_server import RealServer

# A shell lets a program that runs in the background ignore SIGINT, and so the programs that it
# starts: the examples, which have to end at this signal.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
