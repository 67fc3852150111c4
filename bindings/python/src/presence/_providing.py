"""The answers of a credential provider to the requests of a channel."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from ._channel import PulledItems
from ._convert import to_native, to_python
from ._credential import Credential
from ._native import presence_bindings as native
from ._states import CredentialReason

_log = logging.getLogger("presence")


class SignedOutError(Exception):
    """Raised by a credential provider if the user has to sign in first."""

    def __init__(self, message: str = "the user is signed out") -> None:
        super().__init__(message)


CredentialProvider: TypeAlias = Callable[[CredentialReason], Awaitable[Credential]]
"""A function that returns a fresh credential whenever a device needs one.

If it raises an exception, a `CancelledError` of its own included, it is called again after a wait
that grows with each failure, up to the `backoff_ceiling` of `ChannelTiming`.
`PresenceDevice.network_changed` shortens the wait. If it raises `SignedOutError`, the state becomes
`SignedOut`, and it is not called again until the program calls `PresenceDevice.set_credential`.

A call is cancelled by a newer request of the channel, by `PresenceDevice.set_credential` and by the
end of the channel.
"""


async def provide_credentials(
    channel: native.DeviceChannel,
    requests: PulledItems[native.NumberedCredentialRequest],
    provider: CredentialProvider,
) -> None:
    """Answers each request until the channel has ended. The SDK repeats those that fail."""
    while (request := await requests.next()) is not None:
        await _answer(channel, request, provider)


async def _answer(
    channel: native.DeviceChannel,
    request: native.NumberedCredentialRequest,
    provider: CredentialProvider,
) -> None:
    """Calls the provider until the request is over: a credential was set, or there is a newer
    one."""
    call = asyncio.create_task(_call_provider(channel, request, provider))
    end = asyncio.create_task(_wait_for_end(channel, request.number))
    try:
        await asyncio.wait({call, end}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        call.cancel()
        end.cancel()
        await asyncio.wait({call, end})


async def _wait_for_end(channel: native.DeviceChannel, number: int) -> None:
    await channel.next_credential_request_end(number)


async def _call_provider(
    channel: native.DeviceChannel,
    request: native.NumberedCredentialRequest,
    provider: CredentialProvider,
) -> None:
    try:
        credential = to_native(await provider(to_python(request.reason)))
    except SignedOutError:
        channel.report_signed_out(request.number)
    except (Exception, asyncio.CancelledError) as failure:
        if is_cancelled():
            raise
        # The text of the exception is not logged, because it may contain a secret.
        _log.warning("the credential provider failed with %s", type(failure).__name__)
        channel.report_credential_failure(request.number)
    else:
        if not is_cancelled():
            channel.set_credential(credential)


def is_cancelled() -> bool:
    """Returns true if the current task is being cancelled. Otherwise a `CancelledError` comes from
    a cancelled task that was awaited, and is a failure like others."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
