"""What the channels of devices and of back ends have in common."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from ._convert import convert, to_python
from ._errors import EndedError, converted_errors
from ._native import presence_bindings as native
from ._states import (
    ChannelCounters,
    Connected,
    ConnectionState,
    Ended,
    SignedOut,
    StateChange,
    Waiting,
    to_state,
)

_log = logging.getLogger("presence")


class _Numbered(Protocol):
    number: int


_Item = TypeVar("_Item", bound=_Numbered)


class PulledItems(Generic[_Item]):
    """The items of a channel, each of which is confirmed when it is handed out.

    The channel returns an item again until it is confirmed. It is confirmed immediately before it
    is returned, and nothing is awaited in between, so a call that is cancelled loses no item.
    """

    def __init__(
        self, wait: Callable[[], Awaitable[_Item | None]], confirm: Callable[[int], None]
    ) -> None:
        self._wait = wait
        self._confirm = confirm
        # Without it, the second of two callers would get the item of the first again.
        self._one_at_a_time = asyncio.Lock()

    async def next(self) -> _Item | None:
        """Waits for the next item. Returns none after the end of the channel."""
        async with self._one_at_a_time:
            item = await self._wait()
            if item is not None:
                self._confirm(item.number)
            return item


class Channel:
    """A channel to the server, which connects and reconnects by itself."""

    def __init__(self, channel: native.AppServiceChannel | native.DeviceChannel) -> None:
        self._channel = channel
        self._is_waiting = False

    @property
    def state(self) -> ConnectionState:
        """The connection state. It is up to date whether or not anything is awaited."""
        return to_state(self._channel.state())

    async def states(self) -> AsyncGenerator[ConnectionState, None]:
        """Yields the connection state, and then each change of it. Ends after `Ended`.

        A reader that is slow gets the newest state. Any number of tasks can read.
        """
        known: native.ConnectionState | None = None
        while True:
            with converted_errors():
                known = await self._channel.next_state(known)
            if known is None:
                return
            yield to_state(known)

    async def wait_for_state(self, matches: Callable[[ConnectionState], bool]) -> ConnectionState:
        """Waits for a connection state that matches, and returns it. There is no time limit.

        Raises:
            EndedError: if the channel ends, unless `Ended` matches.
        """
        async for state in self.states():
            if matches(state):
                return state
            if isinstance(state, Ended):
                raise EndedError(state.reason, state.detail)
        raise AssertionError("the states do not end before `Ended`")

    async def wait_until_connected(self) -> None:
        """Waits until the channel is connected. There is no time limit. While no server answers,
        the log says so.

        Raises:
            RefusedError: if the server has refused the API key or the credential.
            EndedError: if the channel has ended.
        """

        def is_connected(state: ConnectionState) -> bool:
            self._report(state)
            return isinstance(state, Connected)

        await self.wait_for_state(is_connected)

    def recent_states(self) -> list[StateChange]:
        """Returns the last 20 changes of the connection state, the oldest one first."""
        changes: list[StateChange] = to_python(self._channel.recent_states())
        return changes

    def counters(self) -> ChannelCounters:
        """Returns what the channel has counted since it was opened."""
        counters: ChannelCounters = to_python(self._channel.counters())
        return counters

    def skipped(self) -> int:
        """Returns the number of frames, and of entries in them, that this version could not read
        and has skipped since the channel was opened."""
        return self._channel.skipped()

    def network_changed(self) -> None:
        """Reports that the network of the machine has changed. The connection is checked at once,
        or the next attempt starts at once."""
        self._channel.network_changed()

    async def close(self) -> None:
        """Closes the channel, and waits until it is closed. A closed channel can be closed
        again."""
        await convert(self._channel.shutdown())

    def start_close(self) -> None:
        """Starts to close the channel, and does not wait until it is closed."""
        self._channel.start_shutdown()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        # The constructor may have failed.
        channel = getattr(self, "_channel", None)
        if channel is not None and not isinstance(to_state(channel.state()), Ended):
            channel.start_shutdown()
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)

    def _report(self, state: ConnectionState) -> None:
        """Logs the first of the states in which the channel waits for a server, and the connection
        after them. Raises the error of the server if it has refused the credential."""
        match state:
            case Waiting(reason):
                if not self._is_waiting:
                    _log.warning("not connected, and tried again until it is: %s", reason)
                self._is_waiting = True
            case Connected():
                if self._is_waiting:
                    _log.warning("connected")
                self._is_waiting = False
            case SignedOut(reason):
                raise reason
            case _:
                pass

    async def _wait_for_end(self) -> None:
        """Waits for the end of the channel, which has no item left."""
        await self.wait_for_state(lambda state: isinstance(state, Ended))
