"""The calls of a user with a session: sessions, grants, devices, the account and Applications."""

from __future__ import annotations

from ._account import (
    AccountInfo,
    ActivationResult,
    ApiKeyInfo,
    ApplicationChange,
    ApplicationInfo,
    CreatedApiKey,
    CreatedGrant,
    DeviceInfo,
    GrantInfo,
    NewApplication,
    OpenSession,
    SessionInfo,
)
from ._convert import convert, result, results, to_native
from ._native import presence_bindings as native


class UserApi:
    """The calls of a user, made with the token of a session: see `PresenceApi.user`.

    Every call raises `RefusedError` with `SESSION_EXPIRED` (32) if the session has ended, and with
    `FORBIDDEN` (45) if its scope does not allow the call. The scope `DEVICE` allows only calls that
    read. The calls for developers, from `register` on, need the scope `ACCOUNT`. An Application of
    another user is refused like one that does not exist: with `UNKNOWN_APPLICATION` (40).
    """

    def __init__(self, api: native.UserApi) -> None:
        self._api = api

    async def session(self) -> SessionInfo:
        """Returns the session: its user, scope and end."""
        return await result(self._api.session(), SessionInfo)

    async def sign_out(self) -> None:
        """Ends the session, and closes the connections that were opened with its token."""
        await convert(self._api.sign_out())

    async def sessions(self) -> list[OpenSession]:
        """Returns all sessions of the user, the newest first."""
        return await results(self._api.sessions(), OpenSession)

    async def end_session(self, session_id: str) -> None:
        """Ends another session of the user, by the id in the list, and closes the connections that
        were opened with it. `sign_out` ends the own one.

        Raises:
            RefusedError: with `NOT_FOUND` (47) if the user has no other session with this id.
        """
        await convert(self._api.end_session(to_native(session_id)))

    async def end_other_sessions(self) -> None:
        """Ends all other sessions of the user, and closes the connections that were opened with
        them."""
        await convert(self._api.end_other_sessions())

    async def grant(self, appid: str) -> CreatedGrant:
        """Grants an Application permission to see the user. A second call returns the same `uid`.
        After a revoke, a new grant has a new `uid`.

        Raises:
            RefusedError: with `UNKNOWN_APPLICATION` (40) or `APPLICATION_NOT_ACTIVE` (42).
        """
        return await result(self._api.grant(to_native(appid)), CreatedGrant)

    async def grant_with_redirect(
        self, appid: str, redirect: str, state: str | None = None
    ) -> CreatedGrant:
        """Creates a grant as `grant` does, and returns in `redirect` the URL to send the user to:
        the given page on the domain of the Application, with `Presence-UID` and `state` in its
        query. `state` is returned unchanged, so that the Application can recognise its own user.

        Raises:
            RefusedError: as `grant`, and with `REDIRECT_NOT_ALLOWED` (46) if the page is not on the
                domain of the Application.
        """
        call = self._api.grant_with_redirect(
            to_native(appid), to_native(redirect), to_native(state)
        )
        return await result(call, CreatedGrant)

    async def grants(self) -> list[GrantInfo]:
        """Returns the grants of the user, the oldest first."""
        return await results(self._api.grants(), GrantInfo)

    async def pause(self, appid: str, paused: bool) -> GrantInfo:
        """Pauses or resumes a grant. While it is paused, the Application sees the user as offline,
        and its notifications wait.

        Raises:
            RefusedError: with `UNKNOWN_APPLICATION` (40) if there is no such grant.
        """
        return await result(self._api.pause(to_native(appid), paused), GrantInfo)

    async def revoke(self, appid: str) -> None:
        """Revokes a grant. From the reply on, the Application sees nothing of the user, and its
        `uid` for the user is not valid any more.

        Raises:
            RefusedError: with `UNKNOWN_APPLICATION` (40) if there is no such grant.
        """
        await convert(self._api.revoke(to_native(appid)))

    async def devices(self) -> list[DeviceInfo]:
        """Returns the devices that are connected, or are in their grace time after a lost
        connection."""
        return await results(self._api.devices(), DeviceInfo)

    async def end_device(self, device: str) -> None:
        """Ends a device: its channel is closed and does not reconnect, and its presence ends at
        once.

        Raises:
            RefusedError: with `NOT_FOUND` (47) if no such device is connected.
        """
        await convert(self._api.end_device(to_native(device)))

    async def account(self) -> AccountInfo:
        """Returns all data that the server has stored about the user."""
        return await result(self._api.account(), AccountInfo)

    async def erase_account(self) -> None:
        """Deletes the user with all grants, pending notifications, sessions and Applications, and
        closes all their connections."""
        await convert(self._api.erase_account())

    async def register(self, application: NewApplication) -> ApplicationInfo:
        """Registers an Application. Next, publish its `domain_key` on its domain, and call
        `verify`.

        Raises:
            RefusedError: with `INVALID_FIELD` (12), or with `TOO_LARGE` (14) if the developer has
            the
                maximum number of Applications.
        """
        return await result(self._api.register(to_native(application)), ApplicationInfo)

    async def applications(self) -> list[ApplicationInfo]:
        """Returns the Applications that the user has registered."""
        return await results(self._api.applications(), ApplicationInfo)

    async def application(self, appid: str) -> ApplicationInfo:
        """Returns one of the Applications that the user has registered.

        Raises:
            RefusedError: with `UNKNOWN_APPLICATION` (40).
        """
        return await result(self._api.application(to_native(appid)), ApplicationInfo)

    async def change(self, appid: str, change: ApplicationChange) -> ApplicationInfo:
        """Changes an Application.

        Raises:
            RefusedError: with `UNKNOWN_APPLICATION` (40) or `INVALID_FIELD` (12).
        """
        return await result(self._api.change(to_native(appid), to_native(change)), ApplicationInfo)

    async def remove(self, appid: str) -> None:
        """Removes an Application with its keys, grants and notifications.

        Raises:
            RefusedError: with `UNKNOWN_APPLICATION` (40).
        """
        await convert(self._api.remove(to_native(appid)))

    async def verify(self, appid: str) -> ApplicationInfo:
        """Asks the server to check that the domain of the Application shows its key at
        `/__presence`.

        Raises:
            RefusedError: with `DOMAIN_NOT_VERIFIED` (43) if it does not.
        """
        return await result(self._api.verify(to_native(appid)), ApplicationInfo)

    async def activate(self, appid: str) -> ActivationResult:
        """Activates an Application. The first activation returns its first API key.

        Raises:
            RefusedError: with `DOMAIN_NOT_VERIFIED` (43).
        """
        return await result(self._api.activate(to_native(appid)), ActivationResult)

    async def deactivate(self, appid: str) -> ActivationResult:
        """Deactivates an Application. It sees all its users as offline, and then nothing more. Its
        API keys and grants are kept.

        Raises:
            RefusedError: with `UNKNOWN_APPLICATION` (40).
        """
        return await result(self._api.deactivate(to_native(appid)), ActivationResult)

    async def keys(self, appid: str) -> list[ApiKeyInfo]:
        """Returns the API keys of an Application, without their secrets.

        Raises:
            RefusedError: with `UNKNOWN_APPLICATION` (40).
        """
        return await results(self._api.keys(to_native(appid)), ApiKeyInfo)

    async def create_key(self, appid: str) -> CreatedApiKey:
        """Creates another API key, so that a key can be replaced without a gap.

        Raises:
            RefusedError: with `DOMAIN_NOT_VERIFIED` (43), or with `TOO_LARGE` (14) if the
            Application has
                the maximum number of keys.
        """
        return await result(self._api.create_key(to_native(appid)), CreatedApiKey)

    async def delete_key(self, appid: str, key_id: int) -> None:
        """Deletes an API key, and closes the connections that were opened with it.

        Raises:
            RefusedError: with `NOT_FOUND` (47) if there is no such key.
        """
        await convert(self._api.delete_key(to_native(appid), key_id))
