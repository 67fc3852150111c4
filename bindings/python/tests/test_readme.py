"""The programs of the README, as they are written, with what goes wrong first."""

import asyncio
import os
import pathlib
import re
import socket
import sys

from presence import PresenceDevice, PresenceStatus

from real_server import RealServer
from waiting import take, within

README = pathlib.Path(__file__).parents[1] / "README.md"


async def back_end(**settings: str) -> asyncio.subprocess.Process:
    """Starts the back end of the README."""
    (code, *_) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-uc",
        code,
        env={**os.environ, **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_the_back_end_prints_a_change_and_sends_a_notification(server: RealServer) -> None:
    app = server.application()
    alice = server.grant("alice", app)
    process = await back_end(
        PRESENCE_SERVER=server.url, PRESENCE_APPID=app.appid, PRESENCE_API_KEY=app.api_key
    )
    assert process.stdout
    while b"Connected" not in await within(process.stdout.readline()):
        pass
    options = server.device("alice", status=PresenceStatus.ONLINE)
    async with PresenceDevice(options) as phone:
        assert (await within(process.stdout.readline())).split()[:2] == [alice.encode(), b"online"]
        (shown,) = await take(phone, 1)
        assert shown.message == "Lunch?"
    process.kill()
    await within(process.wait())


async def test_a_wrong_api_key_ends_the_back_end_with_the_sentence_of_the_error(
    server: RealServer,
) -> None:
    app = server.application()
    process = await back_end(
        PRESENCE_SERVER=server.url, PRESENCE_APPID=app.appid, PRESENCE_API_KEY="wrong"
    )
    _, errors = await within(process.communicate())
    assert (process.returncode, errors) == (1, b"41 Invalid API key\n")


async def test_a_back_end_without_a_server_says_that_it_waits_for_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = await back_end(
        PRESENCE_SERVER=f"http://127.0.0.1:{port}",
        PRESENCE_APPID="0" * 32,
        PRESENCE_API_KEY="any",
    )
    assert process.stdout
    assert process.stderr
    warning = await within(process.stderr.readline())
    assert b"not connected, and tried again until it is: the server cannot be reached" in warning
    while b"Waiting(reason=UnreachableError" not in await within(process.stdout.readline()):
        pass
    process.kill()
    await within(process.wait())
