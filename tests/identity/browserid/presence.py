"""A running server of the check, and the two doors at which assertions are presented."""

import json
import subprocess
import tempfile
import urllib.error
import urllib.request

from websockets.sync.client import connect

GREETING = "Presence is listening on "


class Server:
    """A server in development mode on a free port, with an empty database. It ends with the block."""

    def __init__(self, binary, *flags):
        self.command = [binary, "--dev", "--listen=127.0.0.1:0", "--log=error", *flags]

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            self.command, cwd=self.directory.name, stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline().strip()
        assert line.startswith(GREETING), f"the server did not start: it said {line!r}"
        self.url = line.removeprefix(GREETING)
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
        return self._answer(request)

    def get(self, path):
        return self._answer(self.url + path)

    @staticmethod
    def _answer(request):
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return json.load(refused)

    def session(self, assertion):
        """Presents an assertion at `POST /session`."""
        return self.post("/session", {"assertion": assertion})

    def device(self, assertion):
        """Presents an assertion on a device's socket."""
        with connect(self.url.replace("http", "ws", 1) + "/presence") as socket:
            socket.send(json.dumps({"assertion": assertion, "status": "online"}))
            return json.loads(socket.recv(timeout=30))
