"""The events of the channel of a back end."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

from ._convert import mirrors
from ._native import presence_bindings as native
from ._notifications import NotificationReceipt
from ._presence import PresenceUpdate
from ._states import ConnectionState


@mirrors(native.AppServiceEvent.STATE)
@dataclasses.dataclass(frozen=True, slots=True)
class StateEvent:
    """The connection state has changed. If several changes wait, only the newest is delivered.

    The state is never `SignedOut`: the iteration raises its error instead."""

    state: ConnectionState
    """The new state."""


@mirrors(native.AppServiceEvent.SNAPSHOT)
@dataclasses.dataclass(frozen=True, slots=True)
class SnapshotEvent:
    """All users who are visible and not offline, at one moment. All other users are offline.

    It is delivered after connecting, and after updates may have been missed.
    """

    presence: tuple[PresenceUpdate, ...]
    """The users."""
    gap: bool
    """Is true if updates may have been missed before the snapshot."""
    cursor: str | None
    """The cursor for resuming after the snapshot."""


@mirrors(native.AppServiceEvent.UPDATES)
@dataclasses.dataclass(frozen=True, slots=True)
class UpdatesEvent:
    """Changes of users. If several changes of a user wait, only the newest is delivered."""

    presence: tuple[PresenceUpdate, ...]
    """The changes."""
    cursor: str | None
    """The cursor for resuming after the changes."""


@mirrors(native.AppServiceEvent.RECEIPTS)
@dataclasses.dataclass(frozen=True, slots=True)
class ReceiptsEvent:
    """Receipts of notifications."""

    receipts: tuple[NotificationReceipt, ...]
    """The receipts, in the order of arrival."""
    lost: int
    """The number of older receipts that were dropped because the program pulled too slowly."""


@mirrors(native.AppServiceEvent.STALE)
@dataclasses.dataclass(frozen=True, slots=True)
class StaleEvent:
    """The server cannot see changes of users from now on, or can again."""

    is_stale: bool
    """Is true while what is known may be out of date. It is false after the updates that were
    missed, or once the connection is lost."""


AppServiceEvent: TypeAlias = StateEvent | SnapshotEvent | UpdatesEvent | ReceiptsEvent | StaleEvent
"""An event of the channel of a back end."""
