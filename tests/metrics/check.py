"""Starts a server, uses several features, and parses its metrics with Prometheus's own client library.

check.py SERVER-PROGRAM
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

CHILD = pathlib.Path(__file__).resolve().parents[1] / "child"
KINDS = {"counter", "gauge", "histogram"}


def main(program: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = f"--database=sqlite://{folder}/presence.db?mode=rwc"
        listeners = ["--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0"]
        command = [CHILD, program, "--dev", *listeners, "--log=off", database]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                url, metrics = (server.stdout.readline().split(" on ")[1].strip() for _ in range(2))
                sign_in(url)
                families = list(text_string_to_metric_families(get(metrics)))
            finally:
                server.terminate()
    problems = [problem for family in families for problem in check(family)]
    names = [family.name for family in families]
    problems += [f"{name} is listed twice" for name in names if names.count(name) > 1]
    if len(families) < 20:
        problems.append(f"only {len(families)} metrics are listed")
    for problem in problems:
        print(problem)
    print(f"{len(families)} metrics, {len(problems)} problems")
    sys.exit(bool(problems))


def check(family):
    if not family.documentation:
        yield f"{family.name} is not described"
    if family.type not in KINDS:
        yield f"{family.name} is a {family.type}"
    for sample in family.samples:
        if sample.value < 0:
            yield f"{sample} is negative"
    if family.type == "histogram":
        yield from check_histogram(family)


def check_histogram(family):
    rows = {}
    for sample in family.samples:
        labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        rows.setdefault(labels, []).append(sample)
    for labels, samples in rows.items():
        buckets = [(float(s.labels["le"]), s.value) for s in samples if s.name.endswith("_bucket")]
        count = next(s.value for s in samples if s.name.endswith("_count"))
        if buckets != sorted(buckets) or [n for _, n in buckets] != sorted(n for _, n in buckets):
            yield f"{family.name}{labels}: the buckets are not in order"
        if not buckets or buckets[-1] != (float("inf"), count):
            yield f"{family.name}{labels}: the last bucket is not the count"


def sign_in(url: str) -> None:
    assertion = post(f"{url}/dev/assertion", {"email": "alice@dev.localhost"})["assertion"]
    post(f"{url}/session", {"assertion": assertion})
    try:
        post(f"{url}/session", {"assertion": "made up"})
    except urllib.error.HTTPError as refused:
        refused.close()


def post(url: str, body: dict) -> dict:
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def get(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode()


main(sys.argv[1])
