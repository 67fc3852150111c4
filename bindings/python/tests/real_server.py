"""A real server with users and Applications, controlled through `presence-scenario`."""

import dataclasses
import datetime
import json
import os
import subprocess
import threading
from types import TracebackType
from typing import Any, Self

from presence import (
    AppServiceOptions,
    ChannelTiming,
    Credential,
    DeviceOptions,
    PresenceStatus,
    Secret,
    assertion,
)

# Channels with these limits reconnect at once.
FAST = ChannelTiming(
    backoff_floor=datetime.timedelta(milliseconds=50),
    backoff_ceiling=datetime.timedelta(milliseconds=200),
    heartbeat=datetime.timedelta(seconds=1),
)


@dataclasses.dataclass(frozen=True)
class Application:
    """An Application on the server."""

    appid: str
    api_key: str


class RealServer:
    """The program `presence-scenario` with its server, which end together with the tests."""

    def __init__(self) -> None:
        self.url = ""
        self._process = subprocess.Popen(
            [os.environ["PRESENCE_SCENARIO"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=30)

    def command(self, what: str, /, **arguments: object) -> dict[str, Any]:
        """Sends a command to the program, and returns its reply."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin and stdout
        with self._one_at_a_time:
            stdin.write(json.dumps({"do": what, **arguments}) + "\n")
            stdin.flush()
            line = stdout.readline()
        assert line, "presence-scenario has ended"
        reply: dict[str, Any] = json.loads(line)
        assert "error" not in reply, f"{what} failed: {reply}"
        return reply

    def start(self, **flags: int) -> None:
        """Starts the server with flags, such as `session_seconds=2`."""
        named = {name.replace("_", "-"): value for name, value in flags.items()}
        self.url = self.command("start", flags=named)["url"]

    def kill(self) -> None:
        """Kills the server, as a power failure does."""
        self.command("kill")

    def restart(self) -> None:
        """Starts the killed server again, with the same port and database."""
        self.command("restart")

    def credential(self, name: str) -> Credential:
        """Returns a fresh credential of a user."""
        return assertion(self.command("assertion", name=name)["assertion"])

    def session(self, name: str) -> str:
        """Returns the token of a new session of a user."""
        token: str = self.command("sign_in", name=name)["token"]
        return token

    def application(self, name: str = "Chat") -> Application:
        """Registers and activates an Application."""
        reply = self.command("application", name=name)
        return Application(reply["appid"], reply["api_key"])

    def grant(self, name: str, app: Application) -> str:
        """Grants an Application permission to see a user, and returns the PUID."""
        uid: str = self.command("grant", name=name, appid=app.appid)["uid"]
        return uid

    def notify(self, app: Application, uid: str, message: str) -> None:
        """Sends a notification over REST."""
        self.command("notify", appid=app.appid, uid=uid, message=message)

    def app_service(self, app: Application, *, receipts: bool = False) -> AppServiceOptions:
        """Returns the options of a back end that reconnects at once."""
        key = Secret(app.api_key)
        return AppServiceOptions(self.url, app.appid, key, receipts=receipts, timing=FAST)

    def device(
        self, user: str, device: str = "phone", *, status: PresenceStatus | None = None
    ) -> DeviceOptions:
        """Returns the options of a device that reconnects at once, with a credential."""
        credential = self.credential(user)
        return DeviceOptions(self.url, device, credential=credential, status=status, timing=FAST)

    def signed_out_device(self, device: str = "phone") -> DeviceOptions:
        """Returns the options of a device that reconnects at once, without a credential."""
        return DeviceOptions(self.url, device, timing=FAST)
