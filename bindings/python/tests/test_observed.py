"""The recent states and counters of channels, the log, and what is kept in files."""

import asyncio
import dataclasses
import pathlib

import pytest
from presence import (
    AppServiceEvent,
    Assertion,
    Connected,
    Ended,
    LogLevel,
    PresenceAppService,
    PresenceDevice,
    PresenceMap,
    PresenceStatus,
    StateEvent,
    UnreachableError,
    UpdatesEvent,
    Waiting,
    forward_log,
    token,
)

from real_server import RealServer
from waiting import TIMEOUT, first, state_of, status_of, take, within

ONLINE = PresenceStatus.ONLINE


async def test_the_recent_states_of_a_device_tell_why_it_was_not_connected(
    server: RealServer,
) -> None:
    credential = token(server.session("alice"))
    options = dataclasses.replace(server.signed_out_device(), credential=credential)
    device = PresenceDevice(options)
    await state_of(device, Connected)
    server.kill()
    await state_of(device, Waiting)
    server.restart()
    await state_of(device, Connected)
    recent = device.recent_states()
    assert 4 <= len(recent) <= 20
    assert [change.at for change in recent] == sorted(change.at for change in recent)
    waiting = next(change.state for change in recent if isinstance(change.state, Waiting))
    assert isinstance(waiting.reason, UnreachableError)
    assert recent[-1].state == Connected()

    counters = device.counters()
    assert (counters.connections, counters.disconnects) == (2, 1)
    assert counters.attempts >= 2
    assert counters.last_round_trip is not None
    assert device.skipped() == 0
    await within(device.close())
    assert isinstance(device.recent_states()[-1].state, Ended)
    assert device.counters().disconnects == 2


async def test_a_notification_that_was_shown_before_a_restart_is_not_delivered_again(
    server: RealServer, tmp_path: pathlib.Path
) -> None:
    app = server.application()
    uid = server.grant("alice", app)
    file = tmp_path / "device.json"
    options = dataclasses.replace(server.device("alice"), storage_file=str(file))
    async with PresenceDevice(options) as device:
        server.notify(app, uid, "one")
        (shown,) = await take(device, 1)
        device.mark_shown(shown)
        async with asyncio.timeout(TIMEOUT):
            while not file.exists() or shown.id not in file.read_text():
                await asyncio.sleep(0.005)
    again = dataclasses.replace(options, credential=server.credential("alice"))
    async with PresenceDevice(again) as device:
        server.notify(app, uid, "two")
        assert [one.message for one in await take(device, 1)] == ["two"]
        # It can still be acknowledged.
        device.acknowledge(shown)
        await within(device.confirmed())
        assert device.storage_counters().errors == 0


async def test_a_map_in_a_file_continues_after_a_restart_of_the_back_end(
    server: RealServer, tmp_path: pathlib.Path
) -> None:
    app = server.application()
    alice, bob = server.grant("alice", app), server.grant("bob", app)
    file = tmp_path / "users.json"
    users = await PresenceMap.load(file)
    async with PresenceDevice(server.device("alice")):
        async with PresenceAppService(server.app_service(app)) as service:
            await status_of(service, users, alice, ONLINE)
        await within(users.flush())
        assert users.storage_counters().errors == 0

        restored = await PresenceMap.load(file)
        assert restored.status(alice) is ONLINE
        assert not restored.is_live
        assert restored.cursor
        async with PresenceDevice(server.device("bob")):
            options = dataclasses.replace(server.app_service(app), cursor=restored.cursor)
            async with PresenceAppService(options) as service:

                def apply(event: AppServiceEvent) -> bool:
                    restored.apply(event)
                    return not isinstance(event, StateEvent)

                # The first event continues the stream: it is no snapshot.
                event = await first(service, apply)
                assert isinstance(event, UpdatesEvent)
                await status_of(service, restored, bob, ONLINE)
                assert restored.status(alice) is ONLINE


async def test_the_log_reaches_the_program_without_secrets(
    server: RealServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1, "presence")
    options = server.device("alice")
    forward_log(LogLevel.TRACE)
    try:
        async with PresenceDevice(options) as device:
            await within(device.confirmed())
        async with asyncio.timeout(TIMEOUT):
            while "presence_client" not in caplog.text:
                await asyncio.sleep(0.005)
    finally:
        forward_log(None)
    assert all(record.name == "presence" for record in caplog.records)
    assert isinstance(options.credential, Assertion)
    assert options.credential.assertion.reveal() not in caplog.text
