"""A private PostgreSQL cluster for scripts in Python, which run as root."""

import contextlib
import pathlib
import shutil
import socket
import subprocess
import tempfile

SCRIPT = pathlib.Path(__file__).with_name("cluster.sh").resolve()


@contextlib.contextmanager
def database():
    """Starts a private PostgreSQL, and gives the URL of its database."""
    programs = next(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        shutil.chown(folder, "postgres", "postgres")
        number = free.getsockname()[1]
        free.close()
        account = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        command = [*account, "sh", SCRIPT, programs, folder, str(number)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": "/"}
        with subprocess.Popen(command, **pipes) as cluster:
            assert cluster.stdout.readline() == "ready\n"
            try:
                yield f"postgres://presence@127.0.0.1:{number}/postgres"
            finally:
                cluster.stdin.close()
                cluster.wait()
