"""A running server, and the two interfaces that accept assertions: REST and the socket."""

import json
import pathlib
import subprocess
import tempfile
import urllib.error
import urllib.request

from websockets.sync.client import connect

LISTENING_PREFIX = "Presence is listening on "
CHILD = pathlib.Path(__file__).resolve().parents[2] / "child"


class Server:
    """A server in development mode with an empty database, which stops with the context."""

    def __init__(self, binary, *flags):
        self.command = [CHILD, binary, "--dev", "--listen=127.0.0.1:0", "--log=error", *flags]

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            self.command, cwd=self.directory.name, stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline().strip()
        assert line.startswith(LISTENING_PREFIX), f"the server did not start: {line!r}"
        self.url = line.removeprefix(LISTENING_PREFIX)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.directory.cleanup()

    def post(self, path, body):
        request = urllib.request.Request(
            self.url + path,
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        return self._send(request)

    def get(self, path):
        return self._send(self.url + path)

    @staticmethod
    def _send(request):
        try:
            with urllib.request.urlopen(request) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)

    def session(self, assertion):
        """Presents an assertion to `POST /session`."""
        return self.post("/session", {"assertion": assertion})

    def device(self, assertion):
        """Presents an assertion on the socket of a device."""
        with connect(self.url.replace("http", "ws", 1) + "/presence") as socket:
            socket.send(json.dumps({"assertion": assertion, "status": "online"}))
            return json.loads(socket.recv(timeout=30))
