"""The REST calls, and the errors that the channels have too."""

import datetime
import pickle

import pytest
from presence import (
    EndReason,
    InvalidArgumentError,
    KnownUser,
    NewNotification,
    PresenceApi,
    PresenceDevice,
    PresenceErrno,
    RefusedError,
    Secret,
    SessionScope,
    UnknownUser,
    UnreachableError,
    UserApi,
    token,
)

from real_server import RealServer
from waiting import end_reason, take, within

ALICE = "alice@dev.localhost"


async def sign_in(api: PresenceApi) -> UserApi:
    session = await within(api.sign_in(await api.dev_assertion(ALICE), SessionScope.ACCOUNT))
    return api.user(session.token)


async def test_a_user_signs_in_grants_pauses_and_revokes_an_application_and_signs_out(
    server: RealServer,
) -> None:
    app = server.application("Lunch club")
    api = PresenceApi(server.url)
    assert api.server.rstrip("/") == server.url
    session = await api.sign_in(await api.dev_assertion(ALICE), SessionScope.ACCOUNT)
    assert session.email == ALICE
    assert session.expires_at > datetime.datetime.now(datetime.UTC)
    user = api.user(session.token)
    assert (await user.session()).scope is SessionScope.ACCOUNT

    granted = await user.grant(app.appid)
    assert granted == await user.grant(app.appid)
    assert [(one.name, one.uid) for one in await user.grants()] == [("Lunch club", granted.uid)]
    assert (await user.pause(app.appid, True)).paused
    assert not (await user.pause(app.appid, False)).paused
    account = await user.account()
    assert account.grants == tuple(await user.grants())
    assert account.notifications == ()
    await user.revoke(app.appid)
    assert await user.grants() == []

    await user.sign_out()
    with pytest.raises(RefusedError) as expired:
        await user.grants()
    assert expired.value.errno in (PresenceErrno.SESSION_EXPIRED, PresenceErrno.NOT_AUTHENTICATED)


async def test_a_user_lists_the_connected_devices_and_ends_one(server: RealServer) -> None:
    user = await sign_in(PresenceApi(server.url))
    async with PresenceDevice(server.device("alice")) as phone:
        await within(phone.confirmed())
        (device,) = await user.devices()
        assert (device.name, device.connected) == ("phone", True)
        await user.end_device("phone")
        assert await end_reason(phone) is EndReason.ENDED_BY_USER


async def test_a_user_lists_the_sessions_and_ends_others(server: RealServer) -> None:
    api = PresenceApi(server.url)
    user, second, third = [await sign_in(api) for _ in range(3)]
    sessions = await second.sessions()
    assert len(sessions) == 3
    (current,) = (session for session in sessions if session.current)
    await user.end_session(current.id)
    await user.end_other_sessions()
    for ended in (second, third):
        with pytest.raises(RefusedError) as expired:
            await ended.session()
        assert expired.value.errno is PresenceErrno.SESSION_EXPIRED
    assert [session.current for session in await user.sessions()] == [True]


async def test_a_developer_changes_an_application_and_replaces_its_key(server: RealServer) -> None:
    app = server.application()
    api = PresenceApi(server.url)
    developer = api.user(Secret(server.session("developer")))
    key = await developer.create_key(app.appid)
    first, second = await developer.keys(app.appid)
    assert second.prefix == key.prefix
    assert first.created_at <= second.created_at
    await developer.delete_key(app.appid, first.id)
    with pytest.raises(RefusedError) as refused:
        await api.app_service(app.appid, Secret(app.api_key)).presence_page()
    assert refused.value.errno is PresenceErrno.INVALID_API_KEY
    assert (await api.app_service(app.appid, key.api_key).presence_page()).presence == ()


async def test_a_back_end_queries_and_notifies_without_a_channel(server: RealServer) -> None:
    app = server.application()
    alice = server.grant("alice", app)
    service = PresenceApi(server.url).app_service(app.appid, Secret(app.api_key))
    async with PresenceDevice(server.device("alice")) as phone:
        await within(phone.confirmed())
        page = await service.presence_page(limit=1)
        assert [user.uid for user in page.presence] == [alice]
        known, unknown = await service.presence([alice, "0" * 32])
        assert known == KnownUser(page.presence[0])
        assert unknown == UnknownUser("0" * 32)
        queued = await service.notify_one(NewNotification(alice, "Lunch?"))
        (shown,) = await take(phone, 1)
        assert (shown.id, shown.message) == (queued.id, "Lunch?")


async def test_each_kind_of_error_shows_whether_a_retry_can_help(server: RealServer) -> None:
    app = server.application()
    api = PresenceApi(server.url)
    with pytest.raises(RefusedError) as refused:
        await api.app_service(app.appid, Secret("nonsense")).presence_page()
    assert (refused.value.code, refused.value.is_retryable) == (41, False)
    assert pickle.loads(pickle.dumps(refused.value)) == refused.value
    with pytest.raises(InvalidArgumentError):
        api.app_service("not-an-id", Secret(app.api_key))
    with pytest.raises(ValueError, match="https"):
        PresenceApi("ftp://presence.example")
    server.kill()
    with pytest.raises(UnreachableError) as unreachable:
        await api.dev_assertion(ALICE)
    assert unreachable.value.is_retryable
    assert unreachable.value.retry_after is None


async def test_no_secret_is_printed(server: RealServer) -> None:
    app = server.application()
    session = server.session("alice")
    credential = token(session)
    printed = (
        f"{server.app_service(app)} {credential} {credential.token!r} {server.device('alice')}"
    )
    assert app.api_key not in printed
    assert session not in printed
