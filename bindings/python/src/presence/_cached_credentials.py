"""The cache of a user's credential."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
from collections.abc import Awaitable, Callable
from typing import Any

from ._convert import to_native, to_python
from ._credential import Credential
from ._errors import converted_errors
from ._native import presence_bindings as native
from ._process import check_process
from ._providing import CredentialProvider, SignedOutError, is_cancelled
from ._states import CredentialReason


@dataclasses.dataclass(frozen=True, slots=True)
class ExpiringCredential:
    """A credential and its end."""

    credential: Credential
    """The credential."""
    expires_at: datetime.datetime | None = None
    """The time from which the credential is not valid, with a time zone; none if that is not
    known."""


class CredentialUnavailableError(Exception):
    """Raised by `CachedCredentials` if another task that fetched a credential has failed."""


class CachedCredentials:
    """A cache of one user's credential, which several devices and REST calls share.

    ```python
    async def sign_in() -> ExpiringCredential:
        session = await api.sign_in(await fresh_assertion(), SessionScope.DEVICE)
        return ExpiringCredential(Token(session.token), session.expires_at)

    credentials = CachedCredentials(sign_in)
    device = PresenceDevice(options, credentials.provider())
    ```

    It gives the same credential again until shortly before its end. Of several tasks that need a
    fresh one, one fetches it and the others wait. A credential that the server has refused is not
    given again.

    The cache suits session tokens. An identity assertion is accepted again only for the same
    device, so several devices cannot share one.

    Args:
        fetch: fetches a fresh credential. It raises `SignedOutError` if the user has to sign in
        first. margin: the time before its end at which a credential is not given any more.

    Raises:
        InvalidArgumentError: if `margin` is negative.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[ExpiringCredential]],
        margin: datetime.timedelta = datetime.timedelta(seconds=30),
    ) -> None:
        self._fetch = fetch
        with converted_errors():
            self._cache = native.CredentialCache(margin.total_seconds())

    async def credential(self) -> Credential:
        """Returns the credential, for a REST call for example. If the server refuses it, call
        `invalidate` and this method again.

        Raises:
            SignedOutError: if the user has to sign in first.
            CredentialUnavailableError: if another task that fetched one has failed.
            UnexpectedError: if a credential that the server has refused was fetched once more.
            Exception: that of the function that fetches one.
        """
        _, credential = await self._newer_than(0)
        return credential

    def provider(self) -> CredentialProvider:
        """Returns a provider for one device. Each device needs one of its own, which knows the
        credential that the device got last."""
        last_given = 0

        async def provide(reason: CredentialReason) -> Credential:
            nonlocal last_given
            with converted_errors():
                after = self._cache.lookup_after(to_native(reason), last_given)
            last_given, credential = await self._newer_than(after)
            return credential

        return provide

    def invalidate(self, refused: Credential) -> None:
        """Forgets a credential that the server has refused. A fresh one is kept."""
        self._cache.invalidate(to_native(refused))

    def clear(self) -> None:
        """Forgets everything, for example because the user has signed out."""
        self._cache.clear()

    async def _newer_than(self, number: int) -> tuple[int, Credential]:
        check_process()
        with converted_errors():
            lookup: Any = await self._cache.next_lookup(number)
        if isinstance(lookup, native.CredentialLookup.FAILED):
            if lookup.signed_out:
                raise SignedOutError
            raise CredentialUnavailableError(lookup.reason)
        if isinstance(lookup, native.CredentialLookup.FOUND):
            cached = lookup.cached
        else:
            cached = await self._fetch_for(lookup.fetch)
        credential: Credential = to_python(cached.credential)
        return cached.number, credential

    async def _fetch_for(self, task: native.CredentialFetch) -> native.CachedCredential:
        """Calls the function of the program. If this is cancelled, another task fetches one."""
        try:
            fresh = await self._fetch()
            credential, expires_at = to_native(fresh.credential), to_native(fresh.expires_at)
        except SignedOutError:
            task.fail_signed_out()
            raise
        except (Exception, asyncio.CancelledError) as failure:
            if is_cancelled():
                task.abandon()
            else:
                task.fail(f"{type(failure).__name__}: {failure}")
            raise
        with converted_errors():
            return task.complete(credential, expires_at)
