"""Runs schemathesis against a server of its own, once with each kind of credential.

fuzz.py SERVER-PROGRAM
"""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CHILD = HERE.parent / "child"
SEED = "20130117"
# The number of examples for each call: fewer if most calls are rejected in the same way.
CREDENTIALS = {"account": "40", "key": "30", "cookie": "15", "device": "10"}
# The rate limits of a real server would hide the answers that this test compares.
WITHOUT_RATE_LIMITS = [
    "--status-burst=100000",
    "--notify-burst=100000",
    "--notify-per-second=100000",
    "--connects-per-second=100000",
    "--sign-ins-per-second=100000",
    "--failed-credentials-burst=100000",
    "--failed-credentials-per-second=100000",
    "--apps-per-developer=100000",
    "--app-notify-burst=100000",
    "--frame-burst=100000",
    "--grants-per-user=100000",
    "--proofs-per-user=100000",
    "--sessions-per-user=100000",
    "--unproven-connections-per-address=100000",
    "--user-changes-burst=100000",
    "--verifications-burst=100000",
]


def fuzz(program: str, credential: str, examples: str, folder: pathlib.Path) -> bool:
    database = f"sqlite://{folder / credential}.db?mode=rwc"
    # A browser's cookie has its name only where the server is reached by TLS.
    origin = ["--public-url=https://localhost"] if credential == "cookie" else []
    address = f"127.0.0.1:{free_port()}"
    command = [CHILD, program, "--dev", f"--listen={address}", f"--database={database}", *WITHOUT_RATE_LIMITS, *origin]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            print(f"\n== {credential}: {server.stdout.readline().strip()}", flush=True)
            return st(f"http://{address}", origin, credential, examples, folder)
        finally:
            server.terminate()


def free_port() -> int:
    """Returns a free port: with a public URL the server's first line does not name the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def st(url: str, origin: list[str], credential: str, examples: str, folder: pathlib.Path) -> bool:
    environment = {
        "PRESENCE_URL": url,
        "PRESENCE_ORIGIN": "https://localhost" if origin else url,
        "PRESENCE_CREDENTIAL": credential,
        "PYTHONPATH": str(HERE),
        "SCHEMATHESIS_HOOKS": "hooks",
    }
    program = pathlib.Path(sys.executable).parent / "st"
    command = [program, f"--config-file={HERE / 'schemathesis.toml'}", "run", f"{url}/openapi.json"]
    options = [f"--seed={SEED}", f"--max-examples={examples}", f"--url={url}", "--no-color"]
    return subprocess.run(command + options, cwd=folder, env=os.environ | environment, check=False).returncode == 0


def main() -> int:
    program, *only = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        runs = {c: n for c, n in CREDENTIALS.items() if not only or c in only}
        clean = [fuzz(program, c, n, pathlib.Path(folder)) for c, n in runs.items()]
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
