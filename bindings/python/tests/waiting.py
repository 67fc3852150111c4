"""Waiting for events, with a time limit that is long for slow machines."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from presence import (
    AppServiceEvent,
    ConnectionState,
    Ended,
    EndReason,
    LiveNotification,
    PresenceAppService,
    PresenceDevice,
    PresenceMap,
    PresenceStatus,
)

_Result = TypeVar("_Result")
_Item = TypeVar("_Item")

# The time limit of one step, in seconds. A passing test is faster.
TIMEOUT = 30


async def within(call: Awaitable[_Result]) -> _Result:
    """Waits for a call, within the time limit."""
    async with asyncio.timeout(TIMEOUT):
        return await call


async def first(items: AsyncIterator[_Item], matches: Callable[[_Item], bool]) -> _Item:
    """Returns the first item that matches, within the time limit."""
    async with asyncio.timeout(TIMEOUT):
        async for item in items:
            if matches(item):
                return item
    raise AssertionError("the items have ended")


async def event_of(service: PresenceAppService, kind: type[_Item]) -> _Item:
    """Returns the next event of a type."""
    event = await first(service, lambda event: isinstance(event, kind))
    assert isinstance(event, kind)
    return event


async def state_of(channel: PresenceAppService | PresenceDevice, kind: type[_Item]) -> _Item:
    """Waits for a connection state of a type."""

    def matches(state: ConnectionState) -> bool:
        return isinstance(state, kind)

    state = await within(channel.wait_for_state(matches))
    assert isinstance(state, kind)
    return state


async def end_reason(channel: PresenceAppService | PresenceDevice) -> EndReason:
    """Waits until the channel has ended, and returns the reason."""
    return (await state_of(channel, Ended)).reason


async def all_of(items: AsyncIterator[_Item]) -> list[_Item]:
    """Returns all items until their end."""
    async with asyncio.timeout(TIMEOUT):
        return [item async for item in items]


async def take(device: PresenceDevice, count: int) -> list[LiveNotification]:
    """Returns the next notifications."""
    async with asyncio.timeout(TIMEOUT):
        return [await anext(device) for _ in range(count)]


async def status_of(
    service: PresenceAppService,
    users: PresenceMap,
    uid: str,
    status: PresenceStatus,
    message: str | None = None,
) -> None:
    """Applies events to the map until a user has this status and text."""

    def matches() -> bool:
        user = users.get(uid)
        text = user.message if user else None
        return users.is_live and (users.status(uid), text) == (status, message)

    def apply(event: AppServiceEvent) -> bool:
        users.apply(event)
        return matches()

    if not matches():
        await first(service, apply)
