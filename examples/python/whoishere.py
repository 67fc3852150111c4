"""A page that shows which of its members can be reached, and sends them notifications.

It needs `presence-client` and `aiohttp`. `PRESENCE_SERVER` is the Presence server, and
`WHOISHERE_LISTEN` the address of the page: see README.md.
"""

import asyncio
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import secrets
import socket
import urllib.parse

from aiohttp import web
from presence import (
    AppServiceEvent,
    AppServiceOptions,
    NewNotification,
    PresenceAppService,
    PresenceError,
    PresenceMap,
    ReceiptsEvent,
)

import development

MAX_MEMBERS = 100
MAX_OPEN_PAGES = 200
HERE = pathlib.Path(__file__).parent
SECURITY = {"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'"}


@dataclasses.dataclass
class Member:
    """A person who has joined. The PUID is known after the person has agreed on the grant page."""

    name: str
    state: str
    """The value that the Presence server returns with the PUID."""
    uid: str | None = None
    notification: str | None = None
    """The id of the last notification."""
    receipt: str = ""
    """The final state of the last notification."""


class Lobby:
    """The members, and who of them can be reached. Nothing is kept over a restart."""

    def __init__(self, service: PresenceAppService, server: str, appid: str, page: str) -> None:
        self.service = service
        self.users = PresenceMap()
        # By the secret cookie of each.
        self.members: dict[str, Member] = {}
        self.open_pages = 0
        self._changed = asyncio.Condition()
        self._version = 0
        self._grant_page = f"{server}/grant/{appid}"
        self._page = page

    async def watch(self) -> None:
        """Applies the events of the channel until it ends."""
        async for event in self.service:
            await self.apply(event)

    async def apply(self, event: AppServiceEvent) -> None:
        """Applies an event, and tells the open pages."""
        self.users.apply(event)
        if isinstance(event, ReceiptsEvent):
            states = {receipt.id: receipt.state for receipt in event.receipts}
            for member in self.members.values():
                member.receipt = states.get(member.notification or "", member.receipt)
        await self.tell()

    async def tell(self) -> None:
        """Tells the open pages that there is something new."""
        async with self._changed:
            self._version += 1
            self._changed.notify_all()

    async def news(self, seen: int) -> int:
        """Waits until the version differs from the one that was seen, and returns it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._version != seen)
            return self._version

    def join(self, name: str) -> tuple[str, str]:
        """Adds a member. Returns the cookie, and the grant page, where the person decides."""
        if any(member.name == name and member.uid for member in self.members.values()):
            raise web.HTTPConflict(text="There is a member of this name.")
        if len(self.members) >= MAX_MEMBERS:
            undecided = (key for key, member in self.members.items() if member.uid is None)
            oldest = next(undecided, None)
            if oldest is None:
                raise web.HTTPServiceUnavailable(text="The page is full.")
            del self.members[oldest]
        cookie, state = secrets.token_urlsafe(), secrets.token_urlsafe()
        self.members[cookie] = Member(name, state)
        query = {"redirect": f"{self._page}/granted", "state": state, "id": name}
        return cookie, f"{self._grant_page}?{urllib.parse.urlencode(query)}"

    def view(self) -> list[dict[str, str]]:
        """Returns what the page shows. It does not show a PUID."""
        shown = []
        for member in self.members.values():
            if member.uid is not None:
                user = self.users.get(member.uid)
                shown.append(
                    {
                        "name": member.name,
                        "status": user.status if user else "offline",
                        "text": (user.message if user else None) or "",
                        "receipt": member.receipt,
                    }
                )
        return shown


LOBBY = web.AppKey("lobby", Lobby)
routes = web.RouteTableDef()


@routes.get("/")
async def page(request: web.Request) -> web.StreamResponse:
    """The page."""
    return web.FileResponse(HERE / "page.html", headers=SECURITY)


@routes.get("/page.js")
async def script(request: web.Request) -> web.StreamResponse:
    """The script of the page."""
    return web.FileResponse(HERE / "page.js", headers=SECURITY)


@routes.post("/join")
async def join(request: web.Request) -> web.StreamResponse:
    """Adds a member, and sends the browser to the grant page."""
    lobby = request.app[LOBBY]
    name = str((await request.post()).get("name", "")).strip()
    if not 0 < len(name) <= 40 or not name.isprintable():
        raise web.HTTPBadRequest(text="The name has 1 to 40 characters.")
    cookie, grant_page = lobby.join(name)
    response = web.HTTPSeeOther(grant_page)
    response.set_cookie("member", cookie, httponly=True, samesite="Lax")
    raise response


@routes.get("/granted")
async def granted(request: web.Request) -> web.StreamResponse:
    """Receives the decision: the Presence server sends the browser here."""
    lobby = request.app[LOBBY]
    cookie = request.cookies.get("member", "")
    member = lobby.members.get(cookie)
    if member is None or not secrets.compare_digest(
        member.state.encode(), request.query.get("state", "").encode()
    ):
        raise web.HTTPBadRequest(text="This is not an answer to a question of this page.")
    member.uid = request.query.get("Presence-UID")
    if member.uid is None:
        del lobby.members[cookie]
    await lobby.tell()
    raise web.HTTPSeeOther("/")


@routes.post("/notify")
async def notify(request: web.Request) -> web.StreamResponse:
    """Sends a notification from one member to another."""
    lobby = request.app[LOBBY]
    sender = lobby.members.get(request.cookies.get("member", ""))
    form = await request.post()
    names = {member.name: member for member in lobby.members.values() if member.uid}
    receiver = names.get(str(form.get("name", "")))
    if sender is None or receiver is None or receiver.uid is None:
        raise web.HTTPForbidden(text="Join first, and choose a member.")
    notification = NewNotification(
        receiver.uid,
        str(form.get("message", "")),
        source=sender.name,
        ttl=datetime.timedelta(hours=1),
    )
    try:
        queued = await lobby.service.notify_one(notification)
    except PresenceError as error:
        raise web.HTTPBadRequest(text=str(error)) from None
    receiver.notification, receiver.receipt = queued.id, "queued"
    await lobby.tell()
    raise web.HTTPSeeOther("/")


@routes.get("/events")
async def events(request: web.Request) -> web.StreamResponse:
    """Sends the members now, and again after each change, as server-sent events."""
    lobby = request.app[LOBBY]
    if lobby.open_pages >= MAX_OPEN_PAGES:
        raise web.HTTPServiceUnavailable(text="The page is open too often.")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    lobby.open_pages += 1
    try:
        seen = -1
        while True:
            seen = await lobby.news(seen)
            await response.write(f"data: {json.dumps(lobby.view())}\n\n".encode())
    finally:
        lobby.open_pages -= 1


async def main() -> None:
    """Registers the Application if the settings have none, and serves the page."""
    server = os.environ.get("PRESENCE_SERVER", "http://127.0.0.1:8080").rstrip("/")
    host, _, port = os.environ.get("WHOISHERE_LISTEN", "127.0.0.1:9090").rpartition(":")
    listener = socket.create_server((host, int(port)))
    page = "http://{}:{}".format(*listener.getsockname())
    appid, api_key = await development.application(server, "Who is here", listener)
    options = AppServiceOptions(server, appid, api_key, receipts=True)
    async with PresenceAppService(options) as service:
        await service.wait_until_connected()
        lobby = Lobby(service, server, appid, page)
        app = web.Application(client_max_size=8192)
        app[LOBBY] = lobby
        app.add_routes(routes)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            print(f"The page is at {page}/", flush=True)
            await lobby.watch()
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
