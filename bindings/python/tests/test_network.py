"""The way to the server: proxies and headers."""

import re
import socket
import threading

import pytest
from presence import (
    HttpProxy,
    InvalidArgumentError,
    NetworkOptions,
    PresenceApi,
    PresenceErrno,
    ProxyError,
    ProxyErrorKind,
    ProxyServer,
    RefusedError,
    Secret,
    Socks5Proxy,
)

from waiting import within


async def test_a_request_names_program_and_language_and_has_the_headers_of_the_program() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    head: list[str] = []

    def answer() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("r") as lines:
            head.extend(iter(lambda: lines.readline().strip(), ""))
            connection.sendall(b"HTTP/1.1 429 Busy\r\ncontent-length: 0\r\n\r\n")

    thread = threading.Thread(target=answer)
    thread.start()
    network = NetworkOptions(product="chat/1.2", headers={"X-Tenant": Secret("blue")})
    api = PresenceApi(f"http://127.0.0.1:{listener.getsockname()[1]}", network=network)
    with listener, pytest.raises(RefusedError) as refused:
        await within(api.user(Secret("token")).session())
    thread.join()
    assert refused.value.errno is PresenceErrno.SLOW_DOWN
    assert refused.value.is_retryable
    assert "x-tenant: blue" in head
    (agent,) = (line for line in head if line.startswith("user-agent: "))
    assert re.fullmatch(
        r"user-agent: chat/1\.2 presence-python/\S+ presence-client/\S+ \(rust\)", agent
    )


async def test_a_proxy_that_is_not_there_is_an_error_that_does_not_print_credentials() -> None:
    server = ProxyServer("127.0.0.1", 1, user=Secret("the-user"), password=Secret("the-password"))
    for proxy in (HttpProxy(server), Socks5Proxy(server)):
        network = NetworkOptions(proxy=proxy)
        api = PresenceApi("https://presence.example", network=network)
        with pytest.raises(ProxyError) as failed:
            await within(api.dev_assertion("alice@dev.localhost"))
        assert failed.value.kind is ProxyErrorKind.UNREACHABLE
        assert failed.value.is_retryable
        assert "the-" not in f"{failed.value!r} {network}"


def test_a_header_of_the_protocol_is_refused() -> None:
    network = NetworkOptions(headers={"Authorization": Secret("x")})
    with pytest.raises(InvalidArgumentError):
        PresenceApi("https://presence.example", network=network)
