"""Runs the section *Several servers* of the README as it is written, while devices report through
the load balancer, and checks that an application sees exactly what they were answered.

several.py SERVER-PROGRAM
"""

import asyncio
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile

import aiohttp
from aiohttp import web

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "postgres"))
from cluster import database  # noqa: E402

DEVICES = 40
# The limit of a wait for an event.
LIMIT = 60
# The longest time in which a client that finds no server tries another one.
PATIENCE = 5
# The grace time of the servers, and the time after which the others know that one is dead.
GRACE, DEAD_AFTER = 10, 17


class Steps:
    """The commands of the section, which run in one shell."""

    def __init__(self, folder: pathlib.Path, names: dict[str, str]):
        text = (ROOT / "README.md").read_text()
        blocks = re.findall(r"<!-- several -->\n```sh\n(.*?)```\n(?:```text\n(.*?)```)?", text, re.S)
        assert len(blocks) == 2, "the section was not found"
        for old, new in names.items():
            assert any(old in block for block, _ in blocks), old
            blocks = [(block.replace(old, new), output) for block, output in blocks]
        self.blocks = blocks
        shell = ["bash", "--norc"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.shell = subprocess.Popen(shell, cwd=folder, start_new_session=True, **pipes)

    async def run(self, number: int) -> None:
        """Runs a block, and checks its output."""
        commands, expected = self.blocks[number]
        self.shell.stdin.write(f"{commands}\necho the end\n")
        self.shell.stdin.flush()
        printed = []
        while (line := await asyncio.to_thread(self.shell.stdout.readline)) != "the end\n":
            assert line, "the shell has ended"
            printed.append(line.strip())
        assert printed == expected.split("\n")[:-1], printed


class Load:
    """Devices that report numbers, one after another, and an application that sees them."""

    def __init__(self, url: str):
        self.url = url
        # For each PUID: the last number that was answered with OK, and the one that is shown.
        self.answered, self.shown = {}, {}
        self.offline, self.changes, self.reconnects = 0, 0, 0
        self.stopped = asyncio.Event()
        self.tasks = []

    async def start(self, http: aiohttp.ClientSession) -> None:
        self.http = http
        application = await self.application()
        connected = asyncio.Event()
        self.tasks.append(asyncio.create_task(self.watch(application, connected)))
        await asyncio.wait_for(connected.wait(), LIMIT)
        for number in range(DEVICES):
            token = await self.sign_in(f"user{number}")
            uid = (await self.call("POST", f"/grant/{application['appid']}", token, {}))["uid"]
            self.tasks.append(asyncio.create_task(self.report(token, uid)))

    async def call(self, method: str, path: str, token: str | None, body: dict | None = None) -> dict:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        async with self.http.request(method, self.url + path, headers=headers, json=body) as answer:
            assert answer.status < 300, (path, answer.status, await answer.text())
            return await answer.json()

    async def sign_in(self, name: str) -> str:
        email = {"email": f"{name}@dev.localhost"}
        assertion = (await self.call("POST", "/dev/assertion", None, email))["assertion"]
        body = {"assertion": assertion, "scope": "account"}
        return (await self.call("POST", "/session", None, body))["token"]

    async def application(self) -> dict:
        """Registers an application, whose domain proves itself, and activates it."""
        site = web.Application()
        runner = web.AppRunner(site)
        key = {}
        site.router.add_get("/__presence", lambda _: asyncio.sleep(0, web.Response(text=key["domain_key"])))
        await runner.setup()
        listening = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, listening).start()
        developer = await self.sign_in("developer")
        domain = f"127.0.0.1:{listening.getsockname()[1]}"
        body = {"name": "Chat", "domain": domain, "description": "A test"}
        made = await self.call("POST", "/apps", developer, body)
        key.update(made)
        await self.call("POST", f"/apps/{made['appid']}/verify", developer)
        active = await self.call("POST", f"/apps/{made['appid']}/activate", developer)
        await runner.cleanup()
        return {"appid": made["appid"], "key": active["api_key"]}

    async def watch(self, application: dict, connected: asyncio.Event) -> None:
        """Follows the presence, with a cursor, at whichever server the load balancer chooses."""
        cursor = ""
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                headers = {"authorization": f"Bearer {application['key']}"}
                address = f"{self.url}/myapps/{application['appid']}{cursor}"
                options = {"headers": headers, "protocols": ["presence.v1"]}
                async with self.http.ws_connect(address, **options) as channel:
                    async for message in channel:
                        frame = message.json()
                        assert not frame.get("gap"), frame
                        for update in frame.get("presence", []):
                            self.take(update)
                        if "cursor" in frame:
                            cursor = f"?cursor={frame['cursor']}"
                            connected.set()
            await asyncio.sleep(0.1)

    def take(self, update: dict) -> None:
        self.changes += 1
        if update["status"] == "offline":
            self.offline += 1
        self.shown[update["uid"]] = update.get("message")

    async def report(self, token: str, uid: str) -> None:
        number = 0
        while not self.stopped.is_set():
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, TypeError):
                async with self.http.ws_connect(f"{self.url}/presence", timeout=PATIENCE) as channel:
                    self.reconnects += 1
                    while True:
                        number += 1
                        frame = {"token": token, "status": "online", "message": str(number)}
                        await channel.send_json(frame)
                        reply = await channel.receive_json(timeout=PATIENCE)
                        if reply.get("errno") == 20:
                            await asyncio.sleep(reply["retry_after"])
                            continue
                        assert reply == {"result": "OK"}, reply
                        self.answered[uid] = str(number)
                        if self.stopped.is_set():
                            # Until this task is cancelled.
                            await channel.receive()
                        await asyncio.sleep(0.5)
            await asyncio.sleep(0.1)

    async def reports(self, further: int) -> None:
        """Waits until each device was answered some more times."""
        wanted = {uid: int(number) + further for uid, number in self.answered.items()}
        while any(int(self.answered[uid]) < number for uid, number in wanted.items()):
            self.check_tasks()
            await asyncio.sleep(0.05)

    async def agrees(self) -> None:
        """Waits until the application sees what the devices were answered."""
        self.stopped.set()
        while self.shown != self.answered:
            self.check_tasks()
            await asyncio.sleep(0.05)

    def check_tasks(self) -> None:
        for task in self.tasks:
            if task.done():
                task.result()


def free_ports(count: int) -> list[str]:
    with contextlib.ExitStack() as stack:
        listening = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [str(it.getsockname()[1]) for it in listening]


def names(folder: pathlib.Path, url: str) -> dict[str, str]:
    """Returns the names in the commands that are others here. The ports of the servers differ in
    their last digit."""
    while True:
        first, balancer = (int(port) for port in free_ports(2))
        servers = [first - first % 10 + number for number in (1, 2, 3)]
        if first < 65000 and balancer // 10 != first // 10 and all(is_free(port) for port in servers):
            break
    stem = str(servers[0])[:-1]
    return {
        "postgres://presence:walk@127.0.0.1:5432/presence": url,
        "127.0.0.1:8090": f"127.0.0.1:{balancer}",
        "127.0.0.1:808": f"127.0.0.1:{stem}",
    }


def is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


async def main(program: str) -> None:
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "server").symlink_to(ROOT / "server")
        (folder / "bin").mkdir()
        (folder / "bin" / "presence-server").symlink_to(program)
        os.environ["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}:/usr/sbin"
        others = names(folder, stack.enter_context(database()))
        steps = Steps(folder, others)
        stack.callback(lambda: end(steps, folder))
        await asyncio.wait_for(steps.run(0), LIMIT)
        load = Load(f"http://{others['127.0.0.1:8090']}")
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
            await load.start(http)
            await asyncio.wait_for(load.reports(5), LIMIT)
            await asyncio.wait_for(steps.run(1), LIMIT)
            await asyncio.wait_for(load.reports(5), LIMIT)
            # Until the others have ended the presence of the devices of the killed server that did
            # not come back: none.
            await asyncio.sleep(DEAD_AFTER + GRACE + 1)
            await asyncio.wait_for(load.agrees(), LIMIT)
            assert load.offline == 0, f"{load.offline} users were seen as offline"
            assert load.reconnects > DEVICES, "no device was connected to the killed server"
            for task in load.tasks:
                task.cancel()
            await asyncio.gather(*load.tasks, return_exceptions=True)
        print(f"a killed server of three: {load.changes} changes of {DEVICES} users, {load.reconnects - DEVICES} reconnects, none seen as offline")


def end(steps: Steps, folder: pathlib.Path) -> None:
    """Ends the servers and the load balancer, as the section says."""
    subprocess.run("kill $(cat server?.pid haproxy.pid)", shell=True, cwd=folder, check=False)
    steps.shell.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        steps.shell.wait(LIMIT)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(steps.shell.pid, signal.SIGKILL)


asyncio.run(main(sys.argv[1]))
