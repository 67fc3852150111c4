"""A client of a running server for the fuzzer's hooks: users, Applications on a loopback domain, keys and grants."""

import http.server
import itertools
import json
import os
import socket
import struct
import threading
import urllib.request


class Domain(http.server.BaseHTTPRequestHandler):
    """A domain that serves the key that was set last."""

    key = ""

    def do_GET(self):
        body = Domain.key.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Presence:
    """Calls that prepare a fuzzed call. A failure ends the run."""

    def __init__(self, url: str, origin: str):
        self.url, self.origin = url, origin
        self.numbers = itertools.count()
        self.devices: dict[str, socket.socket] = {}
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Domain)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.domain = f"127.0.0.1:{server.server_port}"

    def call(self, method: str, path: str, body: object = None, bearer: str | None = None) -> dict:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def assertion(self, email: str) -> str:
        return self.call("POST", "/dev/assertion", {"email": email})["assertion"]

    def session(self, scope: str = "account", email: str | None = None) -> dict:
        """Opens a session, of a new user if no email is given."""
        email = email or f"user{next(self.numbers)}@dev.localhost"
        wanted = {"assertion": self.assertion(email), "scope": scope}
        return self.call("POST", "/session", wanted) | {"email": email}

    def app(self, developer: str, active: bool = True) -> tuple[str, str | None]:
        """Registers an Application of a developer. Returns its key too if it is active."""
        wanted = {"name": "Fuzzed", "domain": self.domain}
        app = self.call("POST", "/apps", wanted, developer)
        path = f"/apps/{app['appid']}"
        Domain.key = app["domain_key"]
        if not active:
            return app["appid"], None
        self.call("POST", f"{path}/verify", bearer=developer)
        key = self.call("POST", f"{path}/activate", bearer=developer)["api_key"]
        return app["appid"], key

    def connect_device(self, user: str, device: str) -> None:
        """Opens the Device Presence Channel and reports online. The socket stays open."""
        host, port = self.url.removeprefix("http://").split(":")
        channel = socket.create_connection((host, int(port)), timeout=30)
        channel.sendall(
            f"GET /presence HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
        )
        answers = channel.makefile("rb")
        while answers.readline().strip():
            pass
        frame = json.dumps({"token": user, "status": "online", "device": device}).encode()
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(frame))
        # Encodes a text frame of 126 to 65,535 bytes, masked as a client must do.
        channel.sendall(b"\x81" + struct.pack("!BH", 0x80 | 126, len(frame)) + mask + masked)
        answers.read(2)
        self.devices[device] = channel

    def grant(self, user: str, appid: str) -> str:
        return self.call("POST", f"/grant/{appid}", bearer=user)["uid"]
