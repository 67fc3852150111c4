"""The REST API of a server, and the calls of back ends without a channel."""

from __future__ import annotations

from collections.abc import Sequence

from ._account import CreatedSession
from ._convert import convert, result, to_native
from ._errors import converted_errors
from ._native import presence_bindings as native
from ._native.presence_bindings import Secret, SessionScope
from ._notifications import NewNotification, NotifyResult, QueuedNotification
from ._options import ChannelTiming, NetworkOptions
from ._presence import PresencePage, QueryResult
from ._user_api import UserApi


class PresenceApi:
    """The REST API of a server.

    Every call has a time limit. The server may or may not have carried out a call that was
    cancelled.

    Args:
        server: the URL of the server, such as `https://presence.example`.
        timing: the time limits. Only `connect_timeout` and `request_timeout` are used.
        network: the proxy, the trusted certificates, and the headers of the program.

    Raises:
        InvalidArgumentError: if an argument is invalid.
    """

    def __init__(
        self,
        server: str,
        *,
        timing: ChannelTiming | None = None,
        network: NetworkOptions | None = None,
    ) -> None:
        with converted_errors():
            self._api = native.PresenceApi(
                to_native(server), to_native(timing), to_native(network or NetworkOptions())
            )

    @property
    def server(self) -> str:
        """The URL of the server."""
        return self._api.server()

    def user(self, token: Secret) -> UserApi:
        """Returns the calls of a user. `token` is the token of a session from `sign_in`."""
        return UserApi(self._api.user(token))

    def app_service(self, application: str, api_key: Secret) -> AppServiceApi:
        """Returns the calls of the back end of an Application.

        Raises:
            InvalidArgumentError: if `application` is not a valid id.
        """
        with converted_errors():
            return AppServiceApi(self._api.app_service(to_native(application), api_key))

    async def sign_in(self, assertion: Secret, scope: SessionScope) -> CreatedSession:
        """Creates a session with an identity assertion for this server. An assertion can be used
        for one session only.

        Raises:
            RefusedError: with `INVALID_ASSERTION` (34), or with `IDENTITY_UNAVAILABLE` (31), after
            which a
                later call may succeed.
        """
        return await result(self._api.sign_in(assertion, scope), CreatedSession)

    async def dev_assertion(self, email: str) -> Secret:
        """Creates an identity assertion for any address `@dev.localhost`. Only a server in
        development mode does this.

        Raises:
            RefusedError: with `NOT_FOUND` (47) if the server is not in development mode, and with
                `INVALID_FIELD` (12) for any other address.
        """
        return await result(self._api.dev_assertion(to_native(email)), Secret)


class AppServiceApi:
    """The calls of the back end of an Application, made with an API key: see
    `PresenceApi.app_service`.

    Every call raises `RefusedError` with `INVALID_API_KEY` (41) if the key is wrong, and with
    `APPLICATION_NOT_ACTIVE` (42) if the Application is not active.
    """

    def __init__(self, api: native.AppServiceApi) -> None:
        self._api = api

    async def presence(self, uids: Sequence[str]) -> list[QueryResult]:
        """Returns the current presence of these users, in order. Unknown users have an entry too.

        Raises:
            InvalidArgumentError: if one of them is not a PUID.
        """
        found: list[QueryResult] = await convert(self._api.presence(to_native(list(uids))))
        return found

    async def presence_page(
        self, after: str | None = None, limit: int | None = None
    ) -> PresencePage:
        """Returns a page of the users who are not offline: the first page, or the page after
        `after`, which is `next` of the page before. A page has at most `limit` entries, 1 to 500.
        The default is 500.
        """
        return await result(self._api.presence_page(to_native(after), limit), PresencePage)

    async def notify(self, items: Sequence[NewNotification]) -> list[NotifyResult]:
        """Sends notifications, at most 500, and returns the result for each, in order. A crash
        of the server does not lose a notification that was queued.

        After an error no notification was queued, except that after `TimedOutError` and
        `UnreachableError`, and if the call was cancelled, some may have been. Send the same objects
        again: their idempotency keys keep them from being queued twice.
        """
        sent: list[NotifyResult] = await convert(
            self._api.notify([item.to_native() for item in items])
        )
        return sent

    async def notify_one(self, item: NewNotification) -> QueuedNotification:
        """Sends one notification.

        Raises:
            RefusedError: if the notification was not queued.
            InvalidArgumentError: if its `uid` is not a PUID.
        """
        return await result(self._api.notify_one(item.to_native()), QueuedNotification)
