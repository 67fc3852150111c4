"""The records of sessions, accounts and Applications, as the REST API returns them."""

from __future__ import annotations

import dataclasses
import datetime

from ._convert import mirrors
from ._native import presence_bindings as native
from ._native.presence_bindings import ApplicationState, Secret, SessionScope
from ._notifications import PendingNotification
from ._presence import PresenceStatus


@mirrors(native.CreatedSession)
@dataclasses.dataclass(frozen=True, slots=True)
class CreatedSession:
    """A session that was created by a sign-in."""

    token: Secret
    """The bearer token, for `PresenceApi.user` and as the credential of a channel."""
    email: str
    """The verified e-mail address."""
    scope: SessionScope
    """The scope."""
    expires_at: datetime.datetime
    """The time when it ends, in UTC."""


@mirrors(native.SessionInfo)
@dataclasses.dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session."""

    email: str
    """The verified e-mail address."""
    scope: SessionScope
    """The scope."""
    expires_at: datetime.datetime
    """The time when it ends, in UTC."""


@mirrors(native.OpenSession)
@dataclasses.dataclass(frozen=True, slots=True)
class OpenSession:
    """A session in the list of a user's sessions."""

    id: str
    """The id, by which `UserApi.end_session` ends the session. It is not the token."""
    scope: SessionScope
    """The scope."""
    created_at: datetime.datetime
    """The time of the sign-in, in UTC."""
    expires_at: datetime.datetime
    """The time when it ends, in UTC."""
    current: bool
    """Is true if it is the session of the call."""
    devices: tuple[str, ...]
    """The names of the devices that it has let in, and that are connected or in their grace
    time."""


@mirrors(native.CreatedGrant)
@dataclasses.dataclass(frozen=True, slots=True)
class CreatedGrant:
    """A grant that was created."""

    uid: str
    """The PUID: the id of the user for this Application."""
    appid: str
    """The id of the Application."""
    redirect: str | None
    """The URL to send the user to, if a redirect was requested."""


@mirrors(native.GrantInfo)
@dataclasses.dataclass(frozen=True, slots=True)
class GrantInfo:
    """A grant: the permission of an Application to see the user."""

    appid: str
    """The id of the Application."""
    uid: str
    """The PUID: the id of the user for this Application."""
    name: str
    """The name of the Application."""
    domain: str
    """The domain of the Application."""
    paused: bool
    """Is true if the user has paused the grant. The Application then sees the user as offline."""
    waiting: bool
    """Is true if the Application has another domain than the one that the user agreed to. It then
    sees the user as offline, until the user agrees again."""
    granted_domain: str
    """The domain that the user agreed to."""
    previous_name: str | None
    """The name of the Application before its last change, for 30 days after it."""
    granted_at: datetime.datetime
    """The time when it was created, in UTC."""
    last_accessed_at: datetime.datetime | None
    """The time of the last access of the Application to the presence of any of its users, in
    UTC."""
    state: ApplicationState
    """The state of the Application."""


@mirrors(native.DeviceInfo)
@dataclasses.dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device that is connected, or is in its grace time after a lost connection."""

    name: str
    """The name of the device."""
    status: PresenceStatus
    """The status that it reported last for all Applications."""
    message: str | None
    """The status text."""
    connected: bool
    """Is true if it is connected. Otherwise its presence is kept for a grace time."""
    since: datetime.datetime
    """The time when it connected, in UTC."""


@mirrors(native.NewApplication)
@dataclasses.dataclass(frozen=True, slots=True)
class NewApplication:
    """An Application to register."""

    name: str
    """The name, at most 200 characters. Devices see it with every notification."""
    domain: str
    """The domain: a lower-case host name. A server in development mode also accepts `localhost` and
    `127.0.0.1`, with a port."""
    description: str
    """The description, at most 2,000 characters."""


@mirrors(native.ApplicationChange)
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationChange:
    """A change of an Application. Fields that are left out are not changed."""

    name: str | None = None
    """The new name."""
    domain: str | None = None
    """The new domain. It has to be verified, and the Application is not active until then."""
    description: str | None = None
    """The new description."""


@mirrors(native.ApplicationInfo)
@dataclasses.dataclass(frozen=True, slots=True)
class ApplicationInfo:
    """An Application that the user has registered."""

    appid: str
    """The id."""
    name: str
    """The name."""
    domain: str
    """The domain."""
    description: str
    """The description."""
    state: ApplicationState
    """The state."""
    domain_key: str
    """The key that the domain must show at `/__presence` to be verified. It is not secret."""
    created_at: datetime.datetime
    """The time when it was registered, in UTC."""
    blocked_at: datetime.datetime | None
    """The time when the operator of the server blocked it, in UTC. A blocked Application is
    inactive, and its developer cannot activate it."""


@mirrors(native.ActivationResult)
@dataclasses.dataclass(frozen=True, slots=True)
class ActivationResult:
    """The result of activating or deactivating an Application."""

    state: ApplicationState
    """The state."""
    api_key: Secret | None
    """The first API key, after the first activation. It cannot be retrieved again."""


@mirrors(native.ApiKeyInfo)
@dataclasses.dataclass(frozen=True, slots=True)
class ApiKeyInfo:
    """An API key, without its secret."""

    id: int
    """The id."""
    prefix: str
    """The first characters of the key. They are not secret."""
    created_at: datetime.datetime
    """The time when it was created, in UTC."""
    last_used_at: datetime.datetime | None
    """The time when it was last used, to the minute, in UTC."""


@mirrors(native.CreatedApiKey)
@dataclasses.dataclass(frozen=True, slots=True)
class CreatedApiKey:
    """An API key that was created."""

    id: int
    """The id."""
    api_key: Secret
    """The key. It cannot be retrieved again."""
    prefix: str
    """The first characters of the key, with which lists show it."""
    created_at: datetime.datetime
    """The time when it was created, in UTC."""


@mirrors(native.AccountInfo)
@dataclasses.dataclass(frozen=True, slots=True)
class AccountInfo:
    """All data that the server has stored about a user."""

    email: str
    """The verified e-mail address."""
    created_at: datetime.datetime
    """The time of the first sign-in, in UTC."""
    sessions: int
    """The number of sessions."""
    grants: tuple[GrantInfo, ...]
    """The grants, the oldest first."""
    applications: tuple[ApplicationInfo, ...]
    """The Applications that the user has registered."""
    devices: tuple[DeviceInfo, ...]
    """The devices that are connected, or are in their grace time."""
    notifications: tuple[PendingNotification, ...]
    """The notifications that wait for a device."""
