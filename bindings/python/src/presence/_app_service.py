"""The channel of the back end of an Application."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from ._channel import Channel, PulledItems
from ._convert import convert, result, to_native, to_python
from ._errors import converted_errors
from ._events import AppServiceEvent, StateEvent
from ._native import presence_bindings as native
from ._native.presence_bindings import Secret
from ._notifications import NewNotification, NotifyResult, QueuedNotification
from ._options import AppServiceOptions
from ._presence import QueryResult
from ._process import check_process


class PresenceAppService(Channel):
    """The presence of the users of an Application, and the sending of notifications. For back
    ends only, because it needs an API key.

    ```python
    users = PresenceMap()
    async with PresenceAppService(AppServiceOptions(server, appid, Secret(api_key))) as service:
        async for event in service:
            for change in users.apply(event):
                print(change.after.uid, change.after.status)
    ```

    It connects in the background, and stays open until it is closed or the server ends it. Then
    `state` is `Ended`, the iteration stops, and calls that wait raise `EndedError`; the others do
    nothing.

    If the server refuses the API key, the iteration raises its `RefusedError`. After a call of
    `set_api_key` the iteration can be continued. While no server answers, the log says so.

    The iteration pulls. An event waits in the SDK until it is pulled: if several updates of a user
    wait, only the newest is delivered. Cancelling a task that waits for an event loses none.
    Several tasks share the events: each event goes to one of them. All calls that wait belong to
    one event loop.

    Raises:
        InvalidArgumentError: if an option is invalid.
        RuntimeError: if the SDK was used before this process was forked.
    """

    _channel: native.AppServiceChannel

    def __init__(self, options: AppServiceOptions) -> None:
        check_process()
        with converted_errors():
            super().__init__(native.AppServiceChannel.open(to_native(options)))
        self._events = PulledItems(self._channel.next_event, self._channel.confirm_event)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AppServiceEvent:
        with converted_errors():
            numbered = await self._events.next()
        if numbered is None:
            await self._wait_for_end()
            raise StopAsyncIteration
        event: AppServiceEvent = to_python(numbered.event)
        if isinstance(event, StateEvent):
            self._report(event.state)
        return event

    async def notify(self, items: Sequence[NewNotification]) -> list[NotifyResult]:
        """Sends notifications, and returns the result for each, in order.

        The call continues after a reconnect, and queues nothing twice, also if it is repeated. If a
        long list is answered only in part, the others have the error as their result.

        Raises:
            RefusedError: if the server refuses the call.
            TimedOutError: if the server does not reply in time.
            EndedError: if the channel has ended.
        """
        sent: list[NotifyResult] = await convert(
            self._channel.notify([item.to_native() for item in items])
        )
        return sent

    async def notify_one(self, item: NewNotification) -> QueuedNotification:
        """Sends one notification.

        Raises:
            RefusedError: if it was not queued.
            InvalidArgumentError: if its `uid` is not a PUID.
            PresenceError: as `notify`.
        """
        return await result(self._channel.notify_one(item.to_native()), QueuedNotification)

    async def query(self, uids: Sequence[str]) -> list[QueryResult]:
        """Queries the current presence of users, and returns the result for each, in order.

        Raises:
            InvalidArgumentError: if one of them is not a PUID.
            PresenceError: as `notify`.
        """
        found: list[QueryResult] = await convert(self._channel.query(to_native(list(uids))))
        return found

    def set_api_key(self, api_key: Secret) -> None:
        """Sets another API key. It is used from the next connection on, or at once if the server
        has refused the current key."""
        self._channel.set_api_key(api_key)
