"""Runs two servers on PostgreSQL behind HAProxy and nginx, with the configurations of the packages.

proxies.py SERVER-PROGRAM
"""

import asyncio
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import aiohttp

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "postgres"))

from cluster import database

CHILD = HERE.parent / "child"
PACKAGING = HERE.parents[1] / "server" / "packaging"

# Longer than the default of nginx. The server sends no ping in this time.
IDLE_SECONDS = 65
PING_SECONDS = 300
# Longer than the interval of the health check of HAProxy.
DRAIN_SECONDS = 5
# The limit of a wait for an event.
LIMIT = 60
CLIENTS = [f"127.0.1.{number}" for number in range(1, 60)]


class Node:
    """A server on PostgreSQL in development mode."""

    def __init__(self, program: str, folder: pathlib.Path, database: str, public_url: str, address="127.0.0.1:0"):
        self.arguments = (program, folder, database, public_url)
        self.log = (folder / f"{time.monotonic_ns()}.log").open("w")
        command = [CHILD, program, "--dev", f"--listen={address}", "--metrics-listen=127.0.0.1:0"]
        command += [f"--database={database}", f"--public-url={public_url}", "--trusted-proxies=127.0.0.1"]
        command += [f"--drain-seconds={DRAIN_SECONDS}", f"--ping-seconds={PING_SECONDS}"]
        command += ["--log=info,presence_server=debug", "--log-format=json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)

    def started(self) -> "Node":
        """Waits until the server listens."""
        read = [self.process.stdout.readline() for _ in range(2)]
        lines = [json.loads(line)["fields"]["message"] if line else "" for line in read]
        if not all(" on http://" in line for line in lines):
            sys.exit(f"the server does not start: {lines} {pathlib.Path(self.log.name).read_text()}")
        self.url, self.metrics = (line.split(" on ")[1].split(",")[0].strip() for line in lines)
        self.address = self.url.removeprefix("http://")
        return self

    def restarted(self) -> "Node":
        return Node(*self.arguments, address=self.address).started()

    async def opened(self, http: aiohttp.ClientSession) -> int:
        """Returns the number of sockets of devices that were opened."""
        async with http.get(self.metrics) as answer:
            text = await answer.text()
        return int(re.search(r'^presence_connections_opened_total{channel="device"} (\d+)$', text, re.M)[1])

    def logged_addresses(self) -> set[str]:
        """Returns the addresses of clients in the log."""
        lines = pathlib.Path(self.log.name).read_text().splitlines()
        return {address for line in lines if "socket.open" in line for address in CLIENTS if f'"{address}"' in line}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(LIMIT)


class Proxy:
    """A proxy, as its clients see it. Each client has an address of its own."""

    def __init__(self, name: str, url: str):
        self.name, self.url = name, url

    def client(self, address: str) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(local_addr=(address, 0), ssl=False, force_close=True)
        # A client stays at its server: HAProxy finds it by a cookie, and nginx by the address.
        cookies = aiohttp.CookieJar(unsafe=True)
        timeout = aiohttp.ClientTimeout(LIMIT)
        return aiohttp.ClientSession(self.url, connector=connector, cookie_jar=cookies, timeout=timeout)

    async def device(self, http: aiohttp.ClientSession, name: str) -> aiohttp.ClientWebSocketResponse:
        """Opens a Device Presence Channel, and reports that the user is online."""
        async with http.post("/dev/assertion", json={"email": f"{name}@dev.localhost"}) as answer:
            assertion = (await answer.json())["assertion"]
        channel = await http.ws_connect("/presence", autoping=False)
        await channel.send_json({"assertion": assertion, "status": "online", "device": name})
        reply = await channel.receive_json(timeout=LIMIT)
        assert reply == {"result": "OK"}, (self.name, reply)
        return channel

    async def status(self, http: aiohttp.ClientSession, path: str) -> int:
        async with http.get(path) as answer:
            await answer.read()
            return answer.status


async def stays_open_while_idle(proxy: Proxy, address: str) -> None:
    """Checks that a socket without a byte for a long time is still open."""
    async with proxy.client(address) as http:
        channel = await proxy.device(http, f"idle-{proxy.name}")
        with contextlib.suppress(TimeoutError):
            message = await channel.receive(timeout=IDLE_SECONDS)
            raise AssertionError(f"{proxy.name}: an idle socket received {message}")
        await channel.send_json({"status": "unavailable"})
        reply = await channel.receive_json(timeout=LIMIT)
        assert reply == {"result": "OK"}, (proxy.name, reply)
        await channel.close()


async def passes_addresses_and_hides_figures(proxy: Proxy, nodes: list[Node], address: str) -> None:
    """Checks that the servers know a client's address, and that a client cannot choose it."""
    async with proxy.client(address) as http:
        http.headers["X-Forwarded-For"] = CLIENTS[-1]
        await (await proxy.device(http, f"address-{proxy.name}")).close()
        for path in ["/__heartbeat__", "/metrics"]:
            assert await proxy.status(http, path) == 404, (proxy.name, path)
    seen = set().union(*(node.logged_addresses() for node in nodes))
    assert address in seen and CLIENTS[-1] not in seen, (proxy.name, seen)


async def device_at(proxy: Proxy, node: Node, stack: contextlib.AsyncExitStack):
    """Opens sockets from several addresses until one is at this server, and returns it."""
    for number, address in enumerate(CLIENTS[10:40]):
        http = await stack.enter_async_context(proxy.client(address))
        before = await node.opened(http)
        channel = await proxy.device(http, f"{proxy.name}-{number}")
        if await node.opened(http) > before:
            return http, channel
    raise AssertionError(f"{proxy.name} sends nobody to {node.url}")


async def leaves_the_rotation(proxies: list[Proxy], nodes: list[Node]) -> None:
    """Checks that no client is refused while a server stops, and that it gets clients again later."""
    stopping, staying = nodes
    async with contextlib.AsyncExitStack() as stack:
        devices = [await device_at(proxy, stopping, stack) for proxy in proxies]
        stopping.process.send_signal(signal.SIGTERM)
        direct = await stack.enter_async_context(aiohttp.ClientSession())

        async def refuses() -> None:
            while True:
                async with direct.get(f"{stopping.url}/__lbheartbeat__") as answer:
                    if answer.status == 503:
                        return

        await asyncio.wait_for(refuses(), LIMIT)
        requests = 0
        while stopping.process.poll() is None:
            for proxy, (http, _) in zip(proxies, devices):
                status = await proxy.status(http, "/__version__")
                assert status == 200, f"{proxy.name}: {status} while a server stops"
                requests += 1
        assert stopping.process.returncode == 0, stopping.process.returncode
        for proxy, (http, channel) in zip(proxies, devices):
            message = await channel.receive(timeout=LIMIT)
            assert message.type == aiohttp.WSMsgType.CLOSE and message.data == 1001, (proxy.name, message)
            before = await staying.opened(http)
            await proxy.device(http, f"back-{proxy.name}")
            assert await staying.opened(http) > before, proxy.name
        nodes[0] = stopping.restarted()
        for proxy in proxies:
            await asyncio.wait_for(comes_back(proxy, nodes[0]), LIMIT)
    print(f"a server stops: {requests} requests, none refused; its sockets are closed with 1001, and it comes back")


async def comes_back(proxy: Proxy, node: Node) -> None:
    """Waits until a server gets a device from the proxy."""
    async with contextlib.AsyncExitStack() as stack:
        while True:
            with contextlib.suppress(AssertionError):
                await device_at(proxy, node, stack)
                return


def listener() -> socket.socket:
    """Returns a socket that listens on a free port, for a proxy that inherits it."""
    return socket.create_server(("127.0.0.1", 0), backlog=128)


def port(listening: socket.socket) -> int:
    return listening.getsockname()[1]


def start_haproxy(listening: socket.socket, nodes: list[Node], folder: pathlib.Path) -> subprocess.Popen:
    # The third server does not exist: the health check takes it out.
    names = {f"PRESENCE_NODE{number}": node.address for number, node in enumerate(nodes, 1)}
    environment = {**os.environ, **names, "PRESENCE_NODE3": "127.0.0.1:1", "PRESENCE_BIND": f"fd@{listening.fileno()}"}
    command = [CHILD, shutil.which("haproxy", path="/usr/sbin:/usr/bin"), "-db", "-f", PACKAGING / "haproxy.cfg"]
    log = (folder / "haproxy.log").open("w")
    return subprocess.Popen(command, env=environment, pass_fds=[listening.fileno()], stderr=log)


def start_nginx(listening: socket.socket, nodes: list[Node], folder: pathlib.Path) -> subprocess.Popen:
    subject = ["-subj", "/CN=presence.example.org", "-days", "1", "-nodes", "-newkey", "rsa:2048"]
    files = ["-keyout", folder / "presence.key", "-out", folder / "presence.pem"]
    subprocess.run(["openssl", "req", "-x509", *subject, *files], check=True, capture_output=True)
    text = (PACKAGING / "nginx.conf").read_text()
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port(listening)} ssl",
        "server node1:8080": f"server {nodes[0].address}",
        "server node2:8080": f"server {nodes[1].address}",
        "server node3:8080": "server 127.0.0.1:1",
        "/etc/ssl/presence": str(folder / "presence"),
    }
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    folders = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    )
    main = f"daemon off; user root; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;"
    main += f"events {{ worker_connections 1024; }} http {{ access_log off; {folders}\n{text}\n}}"
    (folder / "nginx.conf").write_text(main)
    command = [CHILD, shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-c", folder / "nginx.conf"]
    environment = {**os.environ, "NGINX": f"{listening.fileno()};"}
    return subprocess.Popen(command, env=environment, pass_fds=[listening.fileno()], stderr=subprocess.DEVNULL)


async def main(program: str) -> None:
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(database())
        listeners = [stack.enter_context(listener()) for _ in range(2)]
        haproxy = Proxy("HAProxy", f"http://127.0.0.1:{port(listeners[0])}")
        nginx = Proxy("nginx", f"https://127.0.0.1:{port(listeners[1])}")
        proxies = [haproxy, nginx]
        nodes = []
        stack.callback(lambda: [node.stop() for node in nodes])
        # At the same time, on an empty database.
        nodes += [Node(program, folder, url, haproxy.url) for _ in range(2)]
        for node in nodes:
            node.started()
        for start, listening in zip([start_haproxy, start_nginx], listeners):
            process = start(listening, nodes, folder)
            stack.callback(lambda process=process: (process.terminate(), process.wait(LIMIT)))
        addresses = zip(proxies, CLIENTS)
        await asyncio.gather(*(passes_addresses_and_hides_figures(proxy, nodes, address) for proxy, address in addresses))
        print("HAProxy and nginx pass the addresses of clients, and hide the figures")
        addresses = zip(proxies, CLIENTS)
        await asyncio.gather(*(stays_open_while_idle(proxy, address) for proxy, address in addresses))
        print(f"HAProxy and nginx keep a socket open that is idle for {IDLE_SECONDS} seconds")
        await leaves_the_rotation(proxies, nodes)


asyncio.run(main(sys.argv[1]))
