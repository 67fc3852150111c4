"""The channel of a device."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Self

from ._channel import Channel, PulledItems
from ._convert import convert, to_native, to_python
from ._credential import Credential
from ._errors import converted_errors
from ._native import presence_bindings as native
from ._native.presence_bindings import AppVisibility
from ._notifications import LiveNotification
from ._options import DeviceOptions
from ._presence import PresenceStatus
from ._process import check_process
from ._providing import CredentialProvider, provide_credentials
from ._states import CredentialReason, StorageCounters


class PresenceDevice(Channel):
    """The presence of one device. It reports the status, reports it again after each reconnect, and
    receives notifications.

    ```python
    async with PresenceDevice(DeviceOptions(server, "phone"), fresh_assertion) as device:
        device.set_status(PresenceStatus.ONLINE, "at my desk")
        async for notification in device:
            show(notification)
            device.acknowledge(notification)
    ```

    It connects in the background as soon as it has a credential: that of the options, otherwise one
    of `credential_provider`. It stays open until it is closed or the server ends it. Then `state`
    is `Ended`, the iteration stops, and calls that wait raise `EndedError`; the others do nothing.

    The iteration pulls. A notification waits in the SDK until it is pulled, or on the server if
    many wait. Cancelling a task that waits for a notification loses none. Several tasks share the
    notifications: each goes to one of them. Acknowledge each; otherwise it is delivered again after
    a restart of the program. All calls that wait belong to one event loop.

    Raises:
        InvalidArgumentError: if an option is invalid.
        RuntimeError: if there is a provider and no event loop is running, or if the SDK was used
        before
            this process was forked.
    """

    _channel: native.DeviceChannel

    def __init__(
        self, options: DeviceOptions, credential_provider: CredentialProvider | None = None
    ) -> None:
        check_process()
        loop = asyncio.get_running_loop() if credential_provider else None
        with converted_errors():
            super().__init__(native.DeviceChannel.open(to_native(options)))
        channel = self._channel
        self._notifications = PulledItems(channel.next_notification, channel.confirm_notification)
        self._requests = PulledItems(
            channel.next_credential_request, channel.confirm_credential_request
        )
        self._providing: asyncio.Task[None] | None = None
        if loop is not None and credential_provider is not None:
            # The task has no reference to this object, so that it does not keep it alive.
            work = provide_credentials(channel, self._requests, credential_provider)
            self._providing = loop.create_task(work)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LiveNotification:
        with converted_errors():
            numbered = await self._notifications.next()
        if numbered is None:
            await self._wait_for_end()
            raise StopAsyncIteration
        notification: LiveNotification = to_python(numbered.notification)
        return notification

    async def credential_requests(self) -> AsyncGenerator[CredentialReason, None]:
        """Yields the requests for a credential, for a device that was opened without a provider.
        Only the newest request waits. Answer each with `set_credential`."""
        if self._providing is not None:
            return
        while True:
            with converted_errors():
                request = await self._requests.next()
            if request is None:
                await self._wait_for_end()
                return
            reason: CredentialReason = to_python(request.reason)
            yield reason

    async def handle_notifications(
        self, handler: Callable[[LiveNotification], Awaitable[object]]
    ) -> None:
        """Calls the handler with each notification, and acknowledges the notification after the
        handler has returned. Returns when the channel has ended."""
        async for notification in self:
            await handler(notification)
            self.acknowledge(notification)

    def set_status(self, status: PresenceStatus, message: str | None = None) -> None:
        """Sets the status. It is sent as soon as the channel is connected, and again after each
        reconnect. If it is set several times before that, only the last one is sent.

        Raises:
            InvalidArgumentError: if the text is longer than 128 characters or contains control
                characters.
        """
        with converted_errors():
            self._channel.set_status(to_native(status), to_native(message))

    def set_visibility(self, applications: Sequence[str]) -> None:
        """Sets the Applications that see this device. An empty list hides the device from all. The
        list can only narrow what the grants of the user allow.

        Raises:
            InvalidArgumentError: if one of them is not a valid id.
        """
        with converted_errors():
            self._channel.set_visibility(to_native(list(applications)))

    async def confirmed(self) -> None:
        """Waits until the server has confirmed the last status, the last visibility and all
        acknowledgements. There is no time limit.

        Raises:
            RefusedError: if the server refuses one of them.
            EndedError: if the channel has ended.
        """
        await convert(self._channel.confirmed())

    def acknowledge(self, notification: LiveNotification) -> None:
        """Acknowledges a notification to the server, which then deletes it and removes it from the
        other devices of the user.

        Raises:
            InvalidArgumentError: if it has no valid id, because it does not come from a channel.
        """
        with converted_errors():
            self._channel.acknowledge(to_native(notification.id))

    def mark_shown(self, notification: LiveNotification) -> None:
        """Records that the user has seen a notification that the program does not acknowledge yet.
        With a `storage_file` in the options it is not delivered again after a restart of the
        program. The last 1,000 are kept.

        Raises:
            InvalidArgumentError: if it has no valid id, because it does not come from a channel.
        """
        with converted_errors():
            self._channel.mark_shown(to_native(notification.id))

    def set_credential(self, credential: Credential) -> None:
        """Sets a fresh credential: after a credential request, to sign in again, or to renew the
        session early."""
        self._channel.set_credential(to_native(credential))

    def set_app_visibility(self, visibility: AppVisibility) -> None:
        """Reports whether the program is visible to its user."""
        self._channel.set_app_visibility(visibility)

    def storage_counters(self) -> StorageCounters:
        """Returns what was counted about the file of the options."""
        counters: StorageCounters = to_python(self._channel.storage_counters())
        return counters

    async def close(self) -> None:
        """Closes the channel, and waits until it is closed. The presence of this device ends at
        once. A closed channel can be closed again.

        A credential provider that is running is cancelled, and waited for.
        """
        self.start_close()
        if self._providing is not None:
            self._providing.cancel()
            await asyncio.wait({self._providing})
        await super().close()
