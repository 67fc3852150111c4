"""Registers an Application at a server in development mode, where anyone can sign in.

In production a developer registers the Application once, on the page `/myapps` of the server, and
the program has its id and its API key in its settings.
"""

import asyncio
import os
import socket
import sys

from presence import NewApplication, PresenceApi, Secret, SessionScope

DEVELOPER = "developer@dev.localhost"


async def application(server: str, name: str, listener: socket.socket) -> tuple[str, Secret]:
    """Returns the id and the API key of an Application.

    They are those of `PRESENCE_APPID` and `PRESENCE_API_KEY`. Without these variables it registers
    a new Application, whose domain is the address of this socket.
    """
    appid, api_key = os.environ.get("PRESENCE_APPID"), os.environ.get("PRESENCE_API_KEY")
    if appid and api_key:
        return appid, Secret(api_key)
    if appid or api_key:
        sys.exit("PRESENCE_APPID and PRESENCE_API_KEY need each other: set both, or none")
    api = PresenceApi(server)
    assertion = await api.dev_assertion(DEVELOPER)
    session = await api.sign_in(assertion, SessionScope.ACCOUNT)
    developer = api.user(session.token)
    host, port = listener.getsockname()
    domain = f"{host}:{port}"
    app = await developer.register(NewApplication(name, domain, "An example of the Presence SDK"))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        key = app.domain_key
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(key)}\r\n\r\n{key}".encode())
        writer.close()

    # The server reads the domain key at /__presence.
    async with await asyncio.start_server(answer, sock=listener.dup()):
        await developer.verify(app.appid)
    activated = await developer.activate(app.appid)
    if activated.api_key is None:
        raise RuntimeError("the Application was activated before")
    return app.appid, activated.api_key
