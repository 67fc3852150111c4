"""The errors of the SDK, and their conversion from the generated code."""

from __future__ import annotations

import contextlib
import datetime
import enum
from collections.abc import Callable, Iterator
from typing import Any

from ._native import presence_bindings as native
from ._native.presence_bindings import PresenceErrno, ProxyErrorKind, TlsErrorKind
from ._time import to_timedelta


class EndReason(enum.Enum):
    """The reason why a channel has ended."""

    CLOSED = "closed"
    """This program closed the channel."""
    REPLACED = "replaced"
    """A newer connection of the same device has replaced this one: close code 4001."""
    ENDED_BY_USER = "ended_by_user"
    """The user ended this device or erased the account: close code 4005."""
    APPLICATION_CLOSED = "application_closed"
    """The Application was deactivated or removed, or its API key was deleted: close code 4004."""
    ABORTED = "aborted"
    """The task of the channel was aborted."""
    INCOMPATIBLE = "incompatible"
    """Server and client do not understand each other. A reconnect would not help."""


class PresenceError(Exception):
    """The base class of the errors of the SDK. No text of an error contains a secret.

    Two errors of the same class with the same values are equal.
    """

    @property
    def is_retryable(self) -> bool:
        """Is true if the same call may succeed later."""
        return False

    @property
    def retry_after(self) -> datetime.timedelta | None:
        """The time to wait before the next attempt, if the other side gave one."""
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PresenceError) and (type(self), self.args) == (
            type(other),
            other.args,
        )

    def __hash__(self) -> int:
        return hash((type(self), self.args))


class _ReasonError(PresenceError):
    """An error with a description for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RefusedError(PresenceError):
    """The server refused the request.

    Attributes:
        errno: the entry of the registry of errors.
        code: the number of the entry.
        reason: the description, for people.
    """

    def __init__(
        self,
        errno: PresenceErrno,
        code: int,
        reason: str,
        retry_after: datetime.timedelta | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(errno, code, reason, retry_after, retryable)
        self.errno = errno
        self.code = code
        self.reason = reason
        self._retry_after = retry_after
        self._retryable = retryable

    @property
    def is_retryable(self) -> bool:
        return self._retryable

    @property
    def retry_after(self) -> datetime.timedelta | None:
        return self._retry_after

    def __str__(self) -> str:
        return f"{self.code} {self.reason}"


class UnreachableError(_ReasonError):
    """There was no connection to the server: the host name or the network failed, or the other side
    is no Presence server. A later call may succeed.

    Attributes:
        reason: the description, for people.
    """

    @property
    def is_retryable(self) -> bool:
        return True

    def __str__(self) -> str:
        return f"the server cannot be reached: {self.reason}"


class TlsError(PresenceError):
    """The other side is not trusted, or does not speak TLS as it should. A later call may succeed:
    in another network, when the clock is set, or when the server has a new certificate.

    Attributes:
        kind: the kind of failure.
        reason: the description, for people.
    """

    def __init__(self, kind: TlsErrorKind, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason

    @property
    def is_retryable(self) -> bool:
        return True

    def __str__(self) -> str:
        return f"there is no secure connection to the server: {self.reason}"


class ProxyError(PresenceError):
    """There was no connection through the proxy. A later call may succeed.

    Attributes:
        kind: the kind of failure.
        reason: the description, for people.
    """

    def __init__(
        self, kind: ProxyErrorKind, reason: str, retry_after: datetime.timedelta | None = None
    ) -> None:
        super().__init__(kind, reason, retry_after)
        self.kind = kind
        self.reason = reason
        self._retry_after = retry_after

    @property
    def is_retryable(self) -> bool:
        return True

    @property
    def retry_after(self) -> datetime.timedelta | None:
        return self._retry_after

    def __str__(self) -> str:
        return f"there is no connection through the proxy: {self.reason}"


class TimedOutError(PresenceError):
    """The server did not reply in time. It may have carried out the request. A later call may
    succeed.
    """

    @property
    def is_retryable(self) -> bool:
        return True

    def __str__(self) -> str:
        return "the server did not reply in time"


class EndedError(PresenceError):
    """The channel has ended.

    Attributes:
        reason: the reason for the end.
        detail: the description of `EndReason.INCOMPATIBLE`, for people.
    """

    def __init__(self, reason: EndReason, detail: str | None = None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return "the channel has ended"


class InvalidArgumentError(_ReasonError, ValueError):
    """An argument is invalid. Nothing was sent.

    Attributes:
        reason: the description, for people.
    """


class UnexpectedError(_ReasonError):
    """The server sent something that the protocol does not allow, or this machine failed.

    Attributes:
        reason: the description, for people.
    """

    def __str__(self) -> str:
        return f"unexpected error: {self.reason}"


# The type checker takes the nested classes of uniffi for attributes that do not exist.
_generated: Any = native.PresenceError
_ends: dict[type, EndReason] = {
    native.EndReason.CLOSED: EndReason.CLOSED,
    native.EndReason.REPLACED: EndReason.REPLACED,
    native.EndReason.ENDED_BY_USER: EndReason.ENDED_BY_USER,
    native.EndReason.APPLICATION_CLOSED: EndReason.APPLICATION_CLOSED,
    native.EndReason.ABORTED: EndReason.ABORTED,
    native.EndReason.INCOMPATIBLE: EndReason.INCOMPATIBLE,
}


def to_end(reason: Any) -> tuple[EndReason, str | None]:
    """Converts the reason for an end. The second value is the description, if there is one."""
    return _ends[type(reason)], getattr(reason, "reason", None)


def _to_refused(error: Any) -> PresenceError:
    wait = to_timedelta(error.retry_after_seconds)
    return RefusedError(error.errno, error.code, error.reason, wait, error.retryable)


def _to_proxy(error: Any) -> PresenceError:
    return ProxyError(error.kind, error.reason, to_timedelta(error.retry_after_seconds))


_conversions: dict[type, Callable[[Any], PresenceError]] = {
    _generated.Refused: _to_refused,
    _generated.Unreachable: lambda error: UnreachableError(error.reason),
    _generated.Tls: lambda error: TlsError(error.kind, error.reason),
    _generated.Proxy: _to_proxy,
    _generated.TimedOut: lambda _: TimedOutError(),
    _generated.Ended: lambda error: EndedError(*to_end(error.reason)),
    _generated.InvalidArgument: lambda error: InvalidArgumentError(error.reason),
    _generated.Unexpected: lambda error: UnexpectedError(error.reason),
    # No call of this package has a token that could be cancelled.
    _generated.Cancelled: lambda _: UnexpectedError("the call was cancelled"),
}


def to_error(error: BaseException) -> PresenceError:
    """Converts an error of the generated code."""
    return _conversions[type(error)](error)


@contextlib.contextmanager
def converted_errors() -> Iterator[None]:
    """Raises the errors of the generated code as those of this module."""
    try:
        yield
    except native.PresenceError as error:
        raise to_error(error) from None
    except native.InternalError as error:
        raise UnexpectedError(str(error)) from error
