"""The examples, in processes of their own."""

import asyncio
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import AsyncGenerator, Callable, Iterator

import aiohttp
from presence import PresenceApi, PresenceDevice, PresenceStatus, Secret

from real_server import RealServer
from waiting import TIMEOUT, first, take, within

EXAMPLES = pathlib.Path(__file__).parents[3] / "examples" / "python"


@contextlib.contextmanager
def example(server: RealServer, **settings: str) -> Iterator[str]:
    """Runs the example, and gives the URL of its page. At the end it is interrupted."""
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / "whoishere.py"],
        env={
            **os.environ,
            "PRESENCE_SERVER": server.url,
            "WHOISHERE_LISTEN": "127.0.0.1:0",
            **settings,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("The page is at "), process.stderr and process.stderr.read()
        yield line.split()[-1]
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, errors) == (0, "")


class Browser:
    """The browser of a person, who has an account on the Presence server."""

    def __init__(self, server: RealServer, url: str, name: str) -> None:
        self.user = PresenceApi(server.url).user(Secret(server.session(name)))
        self.http = aiohttp.ClientSession(
            url,
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=aiohttp.ClientTimeout(TIMEOUT),
        )
        self.name = name

    async def join(self, *, agrees: bool = True) -> None:
        """Joins, and agrees on the grant page or declines."""
        joined = await self.http.post("/join", data={"name": self.name}, allow_redirects=False)
        page = urllib.parse.urlsplit(joined.headers["Location"])
        query = dict(urllib.parse.parse_qsl(page.query))
        assert query["id"] == self.name
        appid = page.path.removeprefix("/grant/")
        back: str | None = f"{query['redirect']}?error=access_denied&state={query['state']}"
        if agrees:
            grant = await self.user.grant_with_redirect(appid, query["redirect"], query["state"])
            back = grant.redirect
        assert back
        answered = await self.http.get(back, allow_redirects=False)
        assert (answered.status, answered.headers["Location"]) == (303, "/")

    async def notify(self, name: str, message: str) -> int:
        """Sends the form of the page, and returns the status."""
        form = {"name": name, "message": message}
        return (await self.http.post("/notify", data=form, allow_redirects=False)).status

    async def members(self) -> AsyncGenerator[dict[str, list[str]], None]:
        """Yields the members as the page shows them, by name, after each change."""
        async with self.http.get("/events") as response:
            async for line in response.content:
                if line.startswith(b"data: "):
                    shown = json.loads(line.removeprefix(b"data: "))
                    yield {member.pop("name"): list(member.values()) for member in shown}


def shows(name: str, *expected: str) -> Callable[[dict[str, list[str]]], bool]:
    """Matches if a member is shown like this."""
    return lambda members: members.get(name) == list(expected)


async def quickstart(url: str, **settings: str) -> asyncio.subprocess.Process:
    """Starts the quickstart."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / "notify.py",
        "carol",
        "Lunch?",
        env={**os.environ, "PRESENCE_SERVER": url, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


async def test_the_quickstart_sends_a_notification_and_prints_its_receipt(
    server: RealServer,
) -> None:
    process = await quickstart(server.url)
    assert process.stdout
    queued = await within(process.stdout.readline())
    assert queued.startswith(b"queued as "), queued
    assert b"waiting for a device" in await within(process.stdout.readline())
    assert b"held for up to 30 s" in await within(process.stdout.readline())
    async with PresenceDevice(server.device("carol")) as phone:
        (shown,) = await take(phone, 1)
        assert (shown.message, shown.id.encode()) == ("Lunch?", queued.split()[-1])
        phone.acknowledge(shown)
        output, errors = await within(process.communicate())
    assert (process.returncode, output, errors) == (0, b"acknowledged\n", b"")


async def test_the_quickstart_says_in_one_line_why_it_fails(server: RealServer) -> None:
    app = server.application()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        no_server = f"http://127.0.0.1:{listener.getsockname()[1]}"
    cases = [
        (no_server, {}, "start `presence-server --dev`"),
        ("127.0.0.1:8080", {}, "must begin with https:// (or http:// in development)"),
        (server.url, {"PRESENCE_API_KEY": app.api_key}, "need each other"),
        (server.url, {"PRESENCE_APPID": app.appid}, "need each other"),
        (server.url, {"PRESENCE_APPID": app.appid, "PRESENCE_API_KEY": "wrong"}, "41 Invalid"),
    ]
    for url, settings, expected in cases:
        process = await quickstart(url, **settings)
        output, errors = await within(process.communicate())
        assert (process.returncode, output) == (1, b"")
        (line,) = errors.decode().splitlines()
        assert expected in line


async def test_the_page_shows_who_is_reachable_and_sends_a_notification(
    server: RealServer,
) -> None:
    with example(server) as url:
        alice, bob = Browser(server, url, "alice"), Browser(server, url, "bob")
        async with alice.http, bob.http:
            assert "Who is here?" in await (await alice.http.get("/")).text()
            await alice.join()
            await bob.join()
            async with contextlib.aclosing(alice.members()) as members:
                await first(members, shows("bob", "offline", "", ""))
                async with PresenceDevice(server.device("bob")) as phone:
                    phone.set_status(PresenceStatus.UNAVAILABLE, "at lunch")
                    await first(members, shows("bob", "unavailable", "at lunch", ""))
                    assert await alice.notify("bob", "Coffee?") == 303
                    (shown,) = await take(phone, 1)
                    assert (shown.source, shown.message) == ("alice", "Coffee?")
                    phone.acknowledge(shown)
                    await first(members, shows("bob", "unavailable", "at lunch", "acknowledged"))
                await first(members, shows("bob", "offline", "", "acknowledged"))


async def test_the_page_uses_the_application_of_its_settings(server: RealServer) -> None:
    app = server.application()
    settings = {"PRESENCE_APPID": app.appid, "PRESENCE_API_KEY": app.api_key}
    with example(server, **settings) as url:
        alice = Browser(server, url, "alice")
        async with alice.http:
            form = {"name": "alice"}
            joined = await alice.http.post("/join", data=form, allow_redirects=False)
            assert joined.headers["Location"].startswith(f"{server.url}/grant/{app.appid}?")


async def test_the_page_accepts_only_what_members_send(server: RealServer) -> None:
    with example(server) as url:
        alice, eve = Browser(server, url, "alice"), Browser(server, url, "eve")
        async with alice.http, eve.http:
            await alice.join()
            await eve.join(agrees=False)
            assert await eve.notify("alice", "Hello") == 403
            assert await alice.notify("alice", "two\nlines") == 400
            forged = await eve.http.get("/granted", params={"state": "x", "Presence-UID": "0" * 32})
            assert forged.status == 400
            for name in ("", "x" * 41, "two\nlines"):
                assert (await eve.http.post("/join", data={"name": name})).status == 400
            assert (await eve.http.post("/join", data={"name": "alice"})).status == 409
            async with contextlib.aclosing(eve.members()) as members:
                assert await within(anext(members)) == {"alice": ["offline", "", ""]}
