"""Notifications: those to send, those that a device receives, and their receipts."""

from __future__ import annotations

import dataclasses
import datetime
import secrets
from typing import TypeAlias

from ._convert import OpenEnum, mirrors, mirrors_names, to_native
from ._errors import InvalidArgumentError, PresenceError
from ._native import presence_bindings as native

_MAX_TTL_SECONDS = 2**32 - 1


@dataclasses.dataclass(frozen=True, slots=True)
class NewNotification:
    """A notification to send.

    It has an idempotency key from its construction, so that a call that failed can be repeated with
    the same object.

    Raises:
        InvalidArgumentError: if `ttl` is not a number of whole seconds from 0 on.
    """

    uid: str
    """The PUID of the user who receives it."""
    message: str
    """The text, at most 512 characters: one line, without invisible characters."""
    _: dataclasses.KW_ONLY
    action: str = ""
    """The URL to open, or empty. An `https` URL, or an app link with a scheme that the operator of
    the server allows. At most 512 characters."""
    ttl: datetime.timedelta | None = None
    """The time for which it may wait for a device, in whole seconds. At most 30 days, which is the
    default. With 0 it is delivered only if a device is connected now."""
    idempotency_key: str = dataclasses.field(default_factory=lambda: secrets.token_hex(16))
    """1 to 128 characters; random by default. A notification with the same key for the same user
    within 24 hours gets the same reply and is not queued again."""
    source: str = ""
    """The sender, at most 200 characters, such as the name or e-mail address of a user of the
    Application. If it is empty, devices show the name of the Application."""

    def __post_init__(self) -> None:
        self._ttl_seconds()

    def _ttl_seconds(self) -> int | None:
        if self.ttl is None:
            return None
        seconds = self.ttl // datetime.timedelta(seconds=1)
        if self.ttl % datetime.timedelta(seconds=1) or not 0 <= seconds <= _MAX_TTL_SECONDS:
            raise InvalidArgumentError("ttl must be a number of whole seconds from 0 on")
        return seconds

    def to_native(self) -> native.NewNotification:
        """Converts it for the generated code."""
        return native.NewNotification(
            to_native(self.uid),
            to_native(self.message),
            to_native(self.action),
            self._ttl_seconds(),
            to_native(self.idempotency_key),
            to_native(self.source),
        )


@mirrors(native.QueuedNotification)
@dataclasses.dataclass(frozen=True, slots=True)
class QueuedNotification:
    """A notification that the server has queued."""

    id: str
    """The id of the notification. Receipts contain it."""
    queue_size: int
    """The number of notifications that wait for this user of this Application, including this
    one."""


@mirrors(native.NotifyResult.QUEUED)
@dataclasses.dataclass(frozen=True, slots=True)
class Queued:
    """The result of a notification that the server has stored. A crash of the server does not lose
    it."""

    queued: QueuedNotification
    """The queued notification."""


@mirrors(native.NotifyResult.NOT_QUEUED)
@dataclasses.dataclass(frozen=True, slots=True)
class NotQueued:
    """The result of a notification that was refused."""

    reason: PresenceError
    """The reason."""


NotifyResult: TypeAlias = Queued | NotQueued
"""The result for one notification of several."""


@mirrors_names(native.ReceiptState)
class ReceiptState(OpenEnum):
    """The final state of a notification. A newer server may have others."""

    DELIVERED = "delivered"
    """Written to a device that does not acknowledge notifications."""
    ACKNOWLEDGED = "acknowledged"
    """Acknowledged by a device."""
    EXPIRED = "expired"
    """No device took it in time."""
    DROPPED = "dropped"
    """The queue was full, or it had a `ttl` of 0 and no device was connected."""
    REVOKED = "revoked"
    """The user revoked the grant."""


@mirrors(native.NotificationReceipt)
@dataclasses.dataclass(frozen=True, slots=True)
class NotificationReceipt:
    """The final state of one notification. There is exactly one receipt for each."""

    id: str
    """The id of the notification."""
    uid: str
    """The PUID of the user."""
    state: ReceiptState
    """The final state."""


@mirrors(native.LiveNotification)
@dataclasses.dataclass(frozen=True, slots=True)
class LiveNotification:
    """A notification that a device has received."""

    source: str
    """The sender as the AppService names it, or the name of the Application."""
    application: str
    """The name of the Application, set by the server. For 30 days after a change it has the old
    name too."""
    domain: str
    """The verified domain of the Application, set by the server."""
    message: str
    """The text."""
    action: str
    """The URL to open, or empty."""
    appid: str
    """The id of the Application."""
    id: str
    """The id of this notification."""
    sent_at: datetime.datetime
    """The time when the server accepted it, in UTC."""


@mirrors(native.PendingNotification)
@dataclasses.dataclass(frozen=True, slots=True)
class PendingNotification:
    """A notification that waits for a device."""

    id: str
    """The id of the notification."""
    appid: str
    """The id of the Application."""
    source: str
    """The sender as the AppService names it, or the name of the Application."""
    application: str
    """The name of the Application."""
    domain: str
    """The verified domain of the Application."""
    message: str
    """The text."""
    action: str
    """The URL to open, or empty."""
    sent_at: datetime.datetime
    """The time when the server accepted it, in UTC."""
    expires_at: datetime.datetime
    """The time when it expires, in UTC."""
