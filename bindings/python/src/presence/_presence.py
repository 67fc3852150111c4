"""The presence of users, as one Application sees it."""

from __future__ import annotations

import dataclasses
import datetime
from typing import TypeAlias

from ._convert import OpenEnum, mirrors, mirrors_names
from ._errors import PresenceError
from ._native import presence_bindings as native


@mirrors_names(native.PresenceStatus)
class PresenceStatus(OpenEnum):
    """The status of a user: whether they can be reached. A newer server may have others."""

    ONLINE = "online"
    """The user can be reached."""
    UNAVAILABLE = "unavailable"
    """The user can be reached, but does not want to be disturbed."""
    OFFLINE = "offline"
    """The user cannot be reached, or is hidden."""


@mirrors_names(native.PresenceOfflineCause)
class PresenceOfflineCause(OpenEnum):
    """The cause of a change to offline. A newer server may have others."""

    LEFT = "left"
    """An intended change: a device was closed in order or ended, it reported offline, the user
    hides, the grant was paused or revoked, or the Application was deactivated or blocked. All of
    these look alike."""
    LOST = "lost"
    """The connection of the last device was lost, and its grace time ran out."""


@mirrors(native.PresenceUpdate)
@dataclasses.dataclass(frozen=True, slots=True)
class PresenceUpdate:
    """The presence of one user, as one Application sees it."""

    uid: str
    """The PUID: the id of the user for this Application."""
    status: PresenceStatus
    """The merged status of all devices that this Application may see."""
    cause: PresenceOfflineCause | None
    """The cause of a change to offline. Nothing else has one."""
    version: int
    """The version. It grows with every change of this user."""
    since: datetime.datetime
    """The time of the change in UTC, rounded down to a whole second."""
    message: str | None
    """The status text."""
    revoked: bool
    """Is true if the user has revoked the grant. The PUID is not valid any more."""


@mirrors(native.PresenceChange)
@dataclasses.dataclass(frozen=True, slots=True)
class PresenceChange:
    """A change that an event made to a presence map."""

    before: PresenceUpdate | None
    """The presence before the change; none if the user was offline or unknown."""
    after: PresenceUpdate
    """The presence after the change. If the user went offline during a gap, the true version and
    time are not known, and this is `offline` with the version and time of the earlier presence."""


@mirrors(native.QueryResult.KNOWN)
@dataclasses.dataclass(frozen=True, slots=True)
class KnownUser:
    """The result of a query for a user whom the Application knows."""

    presence: PresenceUpdate
    """The presence of the user."""


@mirrors(native.QueryResult.UNKNOWN)
@dataclasses.dataclass(frozen=True, slots=True)
class UnknownUser:
    """The result of a query for a user whom the Application does not know."""

    uid: str
    """The PUID of the query."""


@mirrors(native.QueryResult.REFUSED)
@dataclasses.dataclass(frozen=True, slots=True)
class RefusedQuery:
    """The result of a query for which the server gave another error, or an entry that this version
    cannot read."""

    uid: str
    """The PUID, as the server repeats it."""
    reason: PresenceError
    """The error."""


QueryResult: TypeAlias = KnownUser | UnknownUser | RefusedQuery
"""The result of a query for one user."""


@mirrors(native.PresencePage)
@dataclasses.dataclass(frozen=True, slots=True)
class PresencePage:
    """A page of the list of users who are not offline."""

    presence: tuple[PresenceUpdate, ...]
    """The users."""
    next: str | None
    """The argument `after` for the next page, if there is one."""
    warming_up: bool
    """Is true if the server was restarted a short time ago, and devices may still reconnect. Users
    who are missing in the list may then be online."""
