"""Opens and closes channels without a server, which needs the library in the package.

`publish-check` runs it with the wheel.
"""

import asyncio

import presence


async def main() -> None:
    """Opens a device and a back end, and makes a REST call."""
    # Nothing listens on this port.
    server = "http://127.0.0.1:1"
    async with presence.PresenceDevice(presence.DeviceOptions(server, "laptop")) as device:
        device.set_status(presence.PresenceStatus.UNAVAILABLE, "at lunch")
    options = presence.AppServiceOptions(server, "0" * 32, presence.Secret("key"))
    async with presence.PresenceAppService(options) as service:
        await service.wait_for_state(lambda state: isinstance(state, presence.Waiting))
    try:
        await presence.PresenceApi(server).dev_assertion("alice@dev.localhost")
    except presence.UnreachableError as error:
        print(f"presence-client {presence.__version__} works: {device.state}, {error}")


asyncio.run(main())
