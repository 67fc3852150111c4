"""The events of the channel of a back end, and its end."""

import dataclasses

import pytest
from presence import (
    AppServiceEvent,
    Connected,
    Credential,
    CredentialReason,
    Ended,
    EndedError,
    EndReason,
    InvalidArgumentError,
    KnownUser,
    PresenceAppService,
    PresenceDevice,
    PresenceErrno,
    PresenceMap,
    PresenceOfflineCause,
    PresenceStatus,
    PresenceUpdate,
    RefusedError,
    Secret,
    SignedOut,
    SnapshotEvent,
    StateEvent,
    UnknownUser,
    UpdatesEvent,
    Waiting,
)

from real_server import RealServer
from waiting import all_of, event_of, first, state_of, status_of, within

ONLINE, OFFLINE = PresenceStatus.ONLINE, PresenceStatus.OFFLINE


async def test_users_who_are_online_are_in_the_snapshot_and_changes_follow_it(
    server: RealServer,
) -> None:
    app = server.application()
    alice, bob = server.grant("alice", app), server.grant("bob", app)
    users = PresenceMap()
    async with PresenceDevice(server.device("alice")) as phone:
        await within(phone.confirmed())
        async with PresenceAppService(server.app_service(app)) as service:
            snapshot = await event_of(service, SnapshotEvent)
            assert [user.uid for user in snapshot.presence] == [alice]
            users.apply(snapshot)
            options = dataclasses.replace(server.device("bob"), message="in town")
            async with PresenceDevice(options):
                await status_of(service, users, bob, ONLINE, "in town")
                assert {user.uid for user in users} == {alice, bob}
            gone = await event_of(service, UpdatesEvent)
            (update,) = gone.presence
            assert (update.uid, update.cause) == (bob, PresenceOfflineCause.LEFT)
            assert update.since.tzinfo is not None
            (change,) = users.apply(gone)
            assert change.before is not None
            assert change.before.message == "in town"
            assert len(users) == 1


async def test_a_query_returns_a_result_for_known_and_unknown_users(server: RealServer) -> None:
    app = server.application()
    alice, unknown = server.grant("alice", app), "0" * 32
    async with PresenceAppService(server.app_service(app)) as service:
        known, not_known = await within(service.query([alice, unknown]))
        assert isinstance(known, KnownUser)
        assert known.presence.status is OFFLINE
        assert not_known == UnknownUser(unknown)
        with pytest.raises(InvalidArgumentError, match="uid is not a valid id"):
            await service.query(["not-an-id"])
        with pytest.raises(ValueError, match="not valid Unicode"):
            await service.query(["\ud800"])


async def test_the_update_after_a_revoke_is_marked_as_revoked(server: RealServer) -> None:
    app = server.application()
    alice = server.grant("alice", app)
    async with PresenceAppService(server.app_service(app)) as service:
        await event_of(service, SnapshotEvent)
        server.command("revoke", name="alice", appid=app.appid)
        (update,) = (await event_of(service, UpdatesEvent)).presence
        assert (update.uid, update.revoked) == (alice, True)


async def test_the_stream_continues_after_the_server_was_killed(server: RealServer) -> None:
    app = server.application()
    alice = server.grant("alice", app)
    users = PresenceMap()

    async def provider(_: CredentialReason) -> Credential:
        return server.credential("alice")

    async with (
        PresenceAppService(server.app_service(app)) as service,
        PresenceDevice(server.signed_out_device(), provider) as phone,
    ):
        await status_of(service, users, alice, ONLINE)
        server.kill()

        def apply(event: AppServiceEvent) -> bool:
            users.apply(event)
            return not users.is_live

        await first(service, apply)
        assert users.status(alice) is ONLINE, "the last known status stays"
        server.restart()
        await within(phone.wait_until_connected())
        phone.set_status(ONLINE, "back")
        await status_of(service, users, alice, ONLINE, "back")


async def test_a_channel_with_a_cursor_continues_where_an_earlier_one_stopped(
    server: RealServer,
) -> None:
    app = server.application()
    alice = server.grant("alice", app)
    options = server.app_service(app)
    async with PresenceAppService(options) as service:
        cursor = (await event_of(service, SnapshotEvent)).cursor
    assert cursor
    async with PresenceDevice(server.device("alice")) as phone:
        await within(phone.confirmed())
        async with PresenceAppService(dataclasses.replace(options, cursor=cursor)) as service:
            event = await first(service, lambda event: not isinstance(event, StateEvent))
            assert isinstance(event, UpdatesEvent), "no snapshot, because nothing was missed"
            assert [(user.uid, user.status) for user in event.presence] == [(alice, ONLINE)]


async def test_a_refused_api_key_is_not_tried_again_and_a_valid_one_connects(
    server: RealServer,
) -> None:
    app = server.application()
    options = dataclasses.replace(server.app_service(app), api_key=Secret("nonsense"))
    async with PresenceAppService(options) as service:
        with pytest.raises(RefusedError) as refused:
            await within(service.wait_until_connected())
        assert refused.value.errno is PresenceErrno.INVALID_API_KEY
        assert str(refused.value).startswith("41 ")
        assert repr(refused.value.errno) == "<PresenceErrno.INVALID_API_KEY: 41>"
        assert service.state == SignedOut(refused.value)
        with pytest.raises(RefusedError) as iterated:
            await all_of(service)
        assert iterated.value == refused.value
        service.set_api_key(Secret(app.api_key))
        await event_of(service, SnapshotEvent)


async def test_an_outage_is_logged_once_and_so_is_its_end(
    server: RealServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with PresenceAppService(server.app_service(server.application())) as service:
        await event_of(service, SnapshotEvent)
        server.kill()
        for _ in range(3):
            await first(service, lambda event: "Waiting" in repr(event))
        server.restart()
        await event_of(service, SnapshotEvent)
    lost, connected = (record.getMessage() for record in caplog.records)
    assert lost.startswith("not connected, and tried again until it is: ")
    assert connected == "connected"


async def test_the_state_is_up_to_date_while_no_event_is_pulled(server: RealServer) -> None:
    async with PresenceAppService(server.app_service(server.application())) as service:
        await within(service.wait_until_connected())
        assert service.state == Connected()
        server.kill()
        waiting = await state_of(service, Waiting)
        assert waiting.reason.is_retryable
        server.restart()
        await state_of(service, Connected)


async def test_deactivating_the_application_ends_its_channel(server: RealServer) -> None:
    app = server.application()
    async with PresenceAppService(server.app_service(app)) as service:
        await within(service.wait_until_connected())
        server.command("deactivate", appid=app.appid)
        events = await all_of(service)
        assert events[-1] == StateEvent(Ended(EndReason.APPLICATION_CLOSED))
        assert service.state == Ended(EndReason.APPLICATION_CLOSED)
        with pytest.raises(EndedError) as ended:
            await service.query(["0" * 32])
        assert ended.value == EndedError(EndReason.APPLICATION_CLOSED)
        assert not ended.value.is_retryable
        with pytest.raises(EndedError):
            await within(service.wait_until_connected())


async def test_a_slow_reader_gets_the_newest_status_of_each_user(server: RealServer) -> None:
    app = server.application()
    alice = server.grant("alice", app)
    async with (
        PresenceAppService(server.app_service(app)) as service,
        PresenceDevice(server.device("alice")) as phone,
    ):
        await event_of(service, SnapshotEvent)
        for number in range(5):
            phone.set_status(ONLINE, f"text {number}")
            await within(phone.confirmed())
        # The answer comes after the updates that were sent before it.
        (known,) = await within(service.query([alice]))
        assert isinstance(known, KnownUser)
        assert known.presence.message == "text 4"
        seen: list[PresenceUpdate] = []

        def is_last(event: object) -> bool:
            seen.extend(event.presence if isinstance(event, UpdatesEvent) else ())
            return bool(seen) and seen[-1].message == "text 4"

        await first(service, is_last)
        assert len(seen) == 1
        assert service.counters().updates_merged >= 4


async def test_the_states_end_with_the_channel(server: RealServer) -> None:
    service = PresenceAppService(server.app_service(server.application()))
    await within(service.wait_until_connected())
    states = service.states()
    assert await within(anext(states)) == Connected()
    service.start_close()
    assert await all_of(states) == [Ended(EndReason.CLOSED)]
    await service.close()
