"""Runs the queries of the dashboard and the alerts on a Prometheus that watches two servers with traffic.

One uses SQLite, and one PostgreSQL: each has a metric that the other has not.

dashboard.py SERVER-PROGRAM
"""

import asyncio
import contextlib
import http.server
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

import aiohttp
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

HERE = pathlib.Path(__file__).resolve()
sys.path.append(str(HERE.parents[1] / "postgres"))

from cluster import database

CHILD = HERE.parents[1] / "child"
PACKAGING = HERE.parents[2] / "server" / "packaging"
DASHBOARD = PACKAGING / "grafana" / "presence.json"
ALERTS = PACKAGING / "prometheus" / "alerts.yml"
# The limit of the wait until each query has data.
LIMIT = 120
VARIABLES = {"$__rate_interval": "20s", "$job": "presence", "$instance": ".*"}


async def main(program: str) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    problems = list(check_form(dashboard))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        databases = [f"sqlite://{folder}/presence.db?mode=rwc", stack.enter_context(database())]
        servers = [start_server(stack, program, url) for url in databases]
        prometheus = start_prometheus(stack, folder, [metrics.split("/")[2] for _, metrics in servers])
        async with aiohttp.ClientSession(prometheus) as api, asyncio.TaskGroup() as tasks:
            queries = list(expressions(dashboard))
            traffic = [tasks.create_task(make_traffic(url)) for url, _ in servers]
            problems += await wait_for_data(api, queries)
            problems += await check_names([metrics for _, metrics in servers], json.dumps(dashboard) + ALERTS.read_text())
            problems += [problem async for problem in check_rules(api)]
            problems += [problem async for problem in check_variables(api, dashboard)]
            for task in traffic:
                task.cancel()
    for problem in problems:
        print(problem)
    print(f"{len(queries)} queries of the dashboard, {len(problems)} problems")
    sys.exit(bool(problems))


def check_form(dashboard: dict):
    """Yields what Grafana would show wrongly."""
    # The types of Grafana keep what they know.
    register_default_plugins()
    known = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
    yield from (f"{path} is unknown to Grafana" for path in lost(dashboard, known, "dashboard"))
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    if len(set(ids)) != len(ids):
        yield "two panels have the same id"
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    for name in set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard))) - names - {"__rate_interval", "__all"}:
        yield f"${name} is not defined"
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        if cells & taken or place["x"] + place["w"] > 24:
            yield f"{panel['title']} overlaps another panel"
        taken |= cells
        if panel["type"] != "row" and not panel.get("description"):
            yield f"{panel['title']} has no description"


def lost(before, after, path: str):
    """Yields the paths of values that are not in `after`."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from lost(value, after.get(key), f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after)):
            yield from lost(one, other, f"{path}[{number}]")
    elif before != after:
        yield path


def expressions(dashboard: dict):
    """Yields the title of each panel with each of its queries."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


async def check_names(servers: list[str], texts: str) -> list[str]:
    """Returns the metrics that are in no query, and those in queries that no server has."""
    names = set()
    async with aiohttp.ClientSession() as http:
        for metrics in servers:
            async with http.get(metrics) as answer:
                names |= set(re.findall(r"^# TYPE (\w+)", await answer.text(), re.M))
    known = names | {f"{name}_{part}" for name in names for part in ["bucket", "count", "sum"]}
    unknown = set(re.findall(r"\bpresence_\w+", texts)) - known
    unused = [name for name in sorted(names) if name not in texts]
    return [f"{name} is in no query" for name in unused] + [f"{name} is no metric" for name in sorted(unknown)]


def start_server(stack: contextlib.ExitStack, program: str, database: str) -> tuple[str, str]:
    command = [CHILD, program, "--dev", "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", "--log=off"]
    command += [f"--database={database}", "--grace-seconds=0.1", "--drain-seconds=0"]
    # One device makes all changes.
    command += ["--status-per-second=1000", "--user-changes-per-second=1000"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    stack.callback(lambda: (server.terminate(), server.wait()))
    url, metrics = (server.stdout.readline().split(" on ")[1].strip() for _ in range(2))
    return url, metrics


def start_prometheus(stack: contextlib.ExitStack, folder: str, addresses: list[str]) -> str:
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [{"job_name": "presence", "static_configs": [{"targets": addresses}]}],
    }
    # JSON is YAML.
    pathlib.Path(folder, "prometheus.yml").write_text(json.dumps(settings))
    command = [CHILD, "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    command += ["--web.listen-address=127.0.0.1:0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    stack.callback(lambda: (process.terminate(), process.wait()))
    for line in process.stderr:
        if found := re.search(r'msg="?Listening on"? address="?(127\.0\.0\.1:[1-9]\d*)', line):
            threading.Thread(target=lambda: [None for _ in process.stderr], daemon=True).start()
            return f"http://{found[1]}"
    sys.exit("Prometheus does not start")


async def make_traffic(url: str) -> None:
    """Uses every feature that has a metric, again and again."""
    with domain() as (name, keys):
        async with aiohttp.ClientSession(url) as server:
            await make_rounds(server, name, keys)


async def make_rounds(server: aiohttp.ClientSession, name: str, keys: list[str]) -> None:
    developer = await sign_in(server, "developer")
    application = {"name": "Chat", "domain": name, "description": "A chat room"}
    application = await call(server, developer, "POST", "/apps", application)
    keys.append(application["domain_key"])
    appid = application["appid"]
    await call(server, developer, "POST", f"/apps/{appid}/verify")
    key = (await call(server, developer, "POST", f"/apps/{appid}/activate"))["api_key"]
    alice = await sign_in(server, "alice")
    uid = (await call(server, alice, "POST", f"/grant/{appid}", {}))["uid"]
    protocols = {"protocols": ["presence.v1"], "headers": {"authorization": f"Bearer {key}"}}
    async with server.ws_connect(f"/myapps/{appid}", **protocols) as stream:
        round_number = 0
        while True:
            # The server remembers a limited number of used assertions of a user.
            await sign_in(server, f"guest-{round_number}")
            await use(server, key, appid, uid, alice)
            while "offline" not in str(await received(stream, "presence")):
                pass
            round_number += 1


async def use(server: aiohttp.ClientSession, key: str, appid: str, uid: str, token: str) -> None:
    """Connects a device, notifies it, loses it, and makes errors."""
    async with server.ws_connect("/presence") as device:
        for status in ["online", "unavailable"]:
            await device.send_json({"token": token, "status": status, "acks": True})
            await received(device, "result")
        notification = {"uid": uid, "message": "Lunch?", "action": "https://chat.example/lunch"}
        body = {"notifications": [notification]}
        await call(server, key, "POST", f"/apps/{appid}/notifications", body)
        ids = [item["id"] for item in (await received(device, "notifications"))["notifications"]]
        await device.send_json({"type": "ack", "ids": ids})
        await received(device, "result")
        # The connection is lost, and not closed.
        device._response.connection.transport.abort()
    refused = {"assertion": "made up"}
    async with server.post("/session", json=refused) as answer:
        assert answer.status == 401, answer.status
    async with server.get("/nowhere") as answer:
        assert answer.status == 404, answer.status


async def received(socket: aiohttp.ClientWebSocketResponse, field: str) -> dict:
    """Returns the next frame with this field."""
    while True:
        frame = await socket.receive_json(timeout=60)
        if field in frame:
            assert frame.get("result", "OK") == "OK", frame
            return frame


async def sign_in(server: aiohttp.ClientSession, name: str) -> str:
    assertion = (await call(server, None, "POST", "/dev/assertion", {"email": f"{name}@dev.localhost"}))["assertion"]
    return (await call(server, None, "POST", "/session", {"assertion": assertion, "scope": "account"}))["token"]


async def call(server: aiohttp.ClientSession, token: str | None, method: str, path: str, body=None) -> dict:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with server.request(method, path, json=body, headers=headers) as answer:
        text = await answer.text()
        assert answer.ok, (path, text)
        return json.loads(text)


@contextlib.contextmanager
def domain():
    """Serves the domain key of the Application, and gives the domain and the list for its key."""
    keys = []

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = keys[0].encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{site.server_port}", keys
        finally:
            site.shutdown()


async def wait_for_data(api: aiohttp.ClientSession, queries: list) -> list[str]:
    """Waits until each query has a number, and returns those that have none."""
    end = time.monotonic() + LIMIT
    waiting = queries
    while waiting and time.monotonic() < end:
        waiting = [query for query in waiting if not await has_data(api, query[1])]
        await asyncio.sleep(0.5)
    return [f"{title}: no data: {expression}" for title, expression in waiting]


async def has_data(api: aiohttp.ClientSession, expression: str) -> bool:
    async with api.get("/api/v1/query", params={"query": expression}) as answer:
        # Prometheus answers so until it has started.
        if answer.status == 503:
            return False
        result = await answer.json()
    if result["status"] != "success":
        sys.exit(f"{expression}: {result}")
    return any(not math.isnan(float(sample["value"][1])) for sample in result["data"]["result"])


async def check_rules(api: aiohttp.ClientSession):
    """Yields the alerts that cannot be evaluated, or that fire although the server is well."""
    async with api.get("/api/v1/rules") as answer:
        groups = (await answer.json())["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    if len(rules) < 10:
        yield f"only {len(rules)} alerts are loaded"
    for rule in rules:
        if rule["health"] != "ok":
            yield f"{rule['name']}: {rule.get('lastError', rule['health'])}"
        if rule["state"] != "inactive":
            yield f"{rule['name']} is {rule['state']}: {rule['alerts']}"


async def check_variables(api: aiohttp.ClientSession, dashboard: dict):
    """Yields the variables without a value."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] != "query":
            continue
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
        series = series.replace("$job", "presence")
        async with api.get(f"/api/v1/label/{label}/values", params={"match[]": series}) as answer:
            if not (await answer.json())["data"]:
                yield f"the variable {variable['name']} has no value"


asyncio.run(main(sys.argv[1]))
