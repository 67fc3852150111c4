"""A back end that sends a notification to a user and waits for its receipt.

`notify.py NAME MESSAGE` sends to `NAME@dev.localhost`, who first grants this Application
permission. The notification waits for an hour until a device of that user is connected. It needs
`presence-client`, and `development.py` beside it. `PRESENCE_SERVER` is the Presence server.
"""

import asyncio
import datetime
import os
import socket
import sys

from presence import (
    AppServiceOptions,
    NewNotification,
    PresenceApi,
    PresenceAppService,
    PresenceError,
    ReceiptsEvent,
    SessionScope,
    UnreachableError,
)

import development

SERVER = os.environ.get("PRESENCE_SERVER", "http://127.0.0.1:8080")


async def grant(appid: str, email: str) -> str:
    """Grants the Application permission as a user does on the page `/grant/<appid>`.

    It returns the PUID by which the Application knows the user.
    """
    api = PresenceApi(SERVER)
    session = await api.sign_in(await api.dev_assertion(email), SessionScope.ACCOUNT)
    return (await api.user(session.token).grant(appid)).uid


async def main(name: str, message: str) -> None:
    """Sends one notification, and prints the state in its receipt."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        appid, api_key = await development.application(SERVER, "Notify", listener)
    uid = await grant(appid, f"{name}@dev.localhost")

    options = AppServiceOptions(SERVER, appid, api_key, receipts=True)
    async with PresenceAppService(options) as service:
        await service.wait_until_connected()
        notification = NewNotification(uid, message, ttl=datetime.timedelta(hours=1))
        # The server replies after it has written the notification to its disk.
        queued = await service.notify_one(notification)
        print("queued as", queued.id, flush=True)
        print("waiting for a device to take it, and for the receipt", flush=True)
        # A receipt does not tell what was taken while this Application could not see the user.
        print("(held for up to 30 s after the Application began to see the user)", flush=True)
        async for event in service:
            if isinstance(event, ReceiptsEvent):
                for receipt in event.receipts:
                    if receipt.id == queued.id:
                        print(receipt.state)
                        return


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: notify.py NAME MESSAGE")
    try:
        asyncio.run(main(*sys.argv[1:]))
    except UnreachableError as error:
        sys.exit(f"{error}; start `presence-server --dev`, or set PRESENCE_SERVER to its URL")
    except PresenceError as error:
        sys.exit(str(error))
