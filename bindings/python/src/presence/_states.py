"""The connection state of a channel, and its counters."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, TypeAlias

from ._convert import mirrors, register, to_python
from ._errors import EndReason, PresenceError, to_end
from ._native import presence_bindings as native


@mirrors(native.CredentialReason.FIRST)
@dataclasses.dataclass(frozen=True, slots=True)
class FirstCredential:
    """The channel needs a credential because it has had none yet."""


@mirrors(native.CredentialReason.EXPIRING)
@dataclasses.dataclass(frozen=True, slots=True)
class CredentialExpiring:
    """The session ends soon. A fresh credential renews it without a reconnect."""

    within: datetime.timedelta
    """The time until the session ends."""


@mirrors(native.CredentialReason.EXPIRED)
@dataclasses.dataclass(frozen=True, slots=True)
class CredentialExpired:
    """The server accepted the credential before, and does not accept it any more."""


CredentialReason: TypeAlias = FirstCredential | CredentialExpiring | CredentialExpired
"""The reason why a channel needs a credential."""


@mirrors(native.ConnectionState.CONNECTING)
@dataclasses.dataclass(frozen=True, slots=True)
class Connecting:
    """The channel is connecting to the server."""

    attempt: int
    """The number of this attempt since the last connection. The first is 1."""


@mirrors(native.ConnectionState.CONNECTED)
@dataclasses.dataclass(frozen=True, slots=True)
class Connected:
    """The channel is connected, and the server has accepted the credential."""


@mirrors(native.ConnectionState.WAITING)
@dataclasses.dataclass(frozen=True, slots=True)
class Waiting:
    """The channel is not connected. It reconnects by itself."""

    reason: PresenceError
    """The reason why it is not connected."""
    retry_in: datetime.timedelta
    """The time until the next attempt."""


@mirrors(native.ConnectionState.CREDENTIAL_WANTED)
@dataclasses.dataclass(frozen=True, slots=True)
class CredentialWanted:
    """The channel is not connected, and waits for a credential from the program."""

    reason: CredentialReason
    """The reason why it needs one."""


@mirrors(native.ConnectionState.SIGNED_OUT)
@dataclasses.dataclass(frozen=True, slots=True)
class SignedOut:
    """The server refused a fresh credential. The channel waits for another one."""

    reason: PresenceError
    """The error of the server."""


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """The channel has ended, and does not reconnect."""

    reason: EndReason
    """The reason for the end."""
    detail: str | None = None
    """The description of `EndReason.INCOMPATIBLE`, for people."""


register(native.ConnectionState.ENDED, lambda state: Ended(*to_end(state.reason)))

ConnectionState: TypeAlias = Connecting | Connected | Waiting | CredentialWanted | SignedOut | Ended
"""The connection state of a channel."""


def to_state(state: Any) -> ConnectionState:
    """Converts a connection state of the generated code."""
    converted: ConnectionState = to_python(state)
    return converted


@mirrors(native.StateChange)
@dataclasses.dataclass(frozen=True, slots=True)
class StateChange:
    """A change of the connection state of a channel. The state has the reason for it: `Waiting`
    after a lost connection, for example."""

    at: datetime.datetime
    """The time of the change, in UTC."""
    state: ConnectionState
    """The state that began then."""


@mirrors(native.ChannelCounters)
@dataclasses.dataclass(frozen=True, slots=True)
class ChannelCounters:
    """The counters of a channel since it was opened. A counter that the kind of channel does not
    have is zero."""

    attempts: int
    """The attempts to connect."""
    connections: int
    """The connections on which the server accepted the credential."""
    disconnects: int
    """Those of these connections that have ended, for whatever reason."""
    last_round_trip: datetime.timedelta | None
    """The time from the last ping to its reply. Until the first one, the time from the first frame
    of the connection to its reply."""
    skipped: int
    """The frames, and the entries in them, that this version could not read and has skipped."""
    receipts_dropped: int
    """The receipts that were dropped because the program pulled too slowly; of a back end only."""
    updates_merged: int
    """The updates that waited for the program and were replaced by a newer one of the same user or
    by a snapshot; of a back end only."""
    requests_timed_out: int
    """The requests without a reply within the time limit; of a back end only."""


@mirrors(native.StorageCounters)
@dataclasses.dataclass(frozen=True, slots=True)
class StorageCounters:
    """The counters of the file of a channel or a map."""

    saves: int
    """The documents that were saved."""
    errors: int
    """The reads and writes that failed."""
    ignored: int
    """The documents that were ignored because they were damaged, too large or of a newer
    version."""
