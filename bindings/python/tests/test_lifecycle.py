"""Cancellation, closing, the release of objects, and processes that fork."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
from presence import (
    AppVisibility,
    Connected,
    Credential,
    CredentialReason,
    Ended,
    EndedError,
    EndReason,
    LiveNotification,
    NewNotification,
    PresenceApi,
    PresenceAppService,
    PresenceDevice,
    PresenceMap,
    PresenceStatus,
    Secret,
    assertion,
)
from presence._native import presence_bindings as native
from presence._native.presence_bindings import debug_live_objects

from real_server import RealServer
from waiting import TIMEOUT, all_of, state_of, status_of, within


async def test_a_call_that_waits_ends_at_once_when_its_task_is_cancelled(
    server: RealServer,
) -> None:
    server.kill()
    # There is no server, so nothing is ever confirmed.
    async with PresenceDevice(server.signed_out_device()) as device:
        for call in (device.confirmed, device.wait_until_connected, lambda: anext(device)):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await call()
            waiting = asyncio.ensure_future(call())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await within(waiting)


async def test_other_tasks_run_while_a_task_waits(server: RealServer) -> None:
    async with PresenceDevice(server.signed_out_device()) as device:
        waiting = asyncio.create_task(device.confirmed())
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        device.set_credential(server.credential("alice"))
        await within(waiting)


async def test_the_application_sees_that_a_block_was_left_with_an_error(
    server: RealServer,
) -> None:
    app = server.application()
    alice = server.grant("alice", app)
    users = PresenceMap()
    async with PresenceAppService(server.app_service(app)) as service:
        with pytest.raises(ZeroDivisionError):
            async with PresenceDevice(server.device("alice")) as device:
                await status_of(service, users, alice, PresenceStatus.ONLINE)
                raise ZeroDivisionError
        assert device.state == Ended(EndReason.CLOSED)
        await status_of(service, users, alice, PresenceStatus.OFFLINE)


def call_all(device: PresenceDevice) -> None:
    """Makes each call that does not wait."""
    device.network_changed()
    device.set_status(PresenceStatus.ONLINE, "at my desk")
    device.set_visibility([])
    device.set_app_visibility(AppVisibility.BACKGROUND)
    device.set_credential(assertion("any"))
    any_id = "0" * 32
    since = device.recent_states()[0].at
    shown = LiveNotification("Bob", "Chat", "chat.example", "Hello", "", any_id, any_id, since)
    device.acknowledge(shown)
    device.mark_shown(shown)


async def test_a_device_can_be_closed_twice_and_later_calls_do_nothing_or_say_that_it_has_ended(
    server: RealServer,
) -> None:
    async def ignore(_: LiveNotification) -> None: ...

    device = PresenceDevice(server.device("alice"))
    await within(device.wait_until_connected())
    await within(device.close())
    device.start_close()
    assert device.state == Ended(EndReason.CLOSED)
    call_all(device)
    with pytest.raises(EndedError):
        await within(device.confirmed())
    assert await all_of(device) == []
    assert await all_of(device.credential_requests()) == []
    await within(device.handle_notifications(ignore))
    await within(device.close())
    assert device.counters().connections == 1
    assert device.recent_states()[-1].state == Ended(EndReason.CLOSED)


async def test_a_back_end_can_be_closed_twice_and_later_calls_say_that_it_has_ended(
    server: RealServer,
) -> None:
    service = PresenceAppService(server.app_service(server.application()))
    await within(service.close())
    service.network_changed()
    service.set_api_key(Secret("any"))
    with pytest.raises(EndedError):
        await service.notify([NewNotification("0" * 32, "Lunch?")])
    with pytest.raises(EndedError):
        await service.query(["0" * 32])
    assert isinstance((await all_of(service))[-1].state, Ended)  # type: ignore[union-attr]
    assert await all_of(service) == []
    await within(service.close())


async def test_calls_of_other_threads_that_race_with_the_end_of_a_device_raise_nothing(
    server: RealServer,
) -> None:
    server.kill()
    failures: list[BaseException] = []

    def call_often(device: PresenceDevice) -> None:
        try:
            for _ in range(50):
                call_all(device)
        except BaseException as failure:
            failures.append(failure)

    for _ in range(20):
        device = PresenceDevice(server.signed_out_device())
        threads = [threading.Thread(target=call_often, args=(device,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        await within(device.close())
        for thread in threads:
            thread.join()
    assert failures == []


async def wait_for_no_objects() -> None:
    """Waits until no object of the library is alive."""
    async with asyncio.timeout(TIMEOUT):
        while debug_live_objects():
            gc.collect()
            await asyncio.sleep(0.01)


async def test_closed_channels_leave_no_object_behind(server: RealServer) -> None:
    app = server.application()
    await wait_for_no_objects()

    async def provider(_: CredentialReason) -> Credential:
        return server.credential("alice")

    async def open_and_close(number: int) -> None:
        async with (
            PresenceDevice(server.signed_out_device(f"phone{number}"), provider) as device,
            PresenceAppService(server.app_service(app)) as service,
        ):
            await within(device.confirmed())
            await state_of(service, Connected)

    await asyncio.gather(*(open_and_close(number) for number in range(10)))
    await wait_for_no_objects()
    assert len(asyncio.all_tasks()) == 1


async def test_a_channel_without_references_is_closed_with_a_warning(server: RealServer) -> None:
    app = server.application()
    alice = server.grant("alice", app)
    users = PresenceMap()

    async def provider(_: CredentialReason) -> Credential:
        return server.credential("alice")

    async with PresenceAppService(server.app_service(app)) as service:
        device = PresenceDevice(server.signed_out_device(), provider)
        await status_of(service, users, alice, PresenceStatus.ONLINE)
        with pytest.warns(ResourceWarning, match="unclosed <presence"):
            del device
            gc.collect()
        await status_of(service, users, alice, PresenceStatus.OFFLINE)
    del users, service
    await wait_for_no_objects()


def test_channels_work_in_one_event_loop_after_another(server: RealServer) -> None:
    options = server.app_service(server.application())

    async def connect() -> None:
        async with PresenceAppService(options) as service:
            await within(service.wait_until_connected())

    for _ in range(3):
        asyncio.run(connect())


def test_event_loops_of_two_threads_do_not_disturb_each_other(server: RealServer) -> None:
    app = server.application()
    uid = server.grant("alice", app)
    received: list[str] = []

    async def receive() -> None:
        async with PresenceDevice(server.device("alice")) as device:
            received.append((await within(anext(device))).message)
            device.acknowledge(await within(anext(device)))
            await within(device.confirmed())

    thread = threading.Thread(target=lambda: asyncio.run(receive()))
    thread.start()

    async def send() -> None:
        async with PresenceAppService(server.app_service(app)) as service:
            for text in ("one", "two"):
                await within(service.notify_one(NewNotification(uid, text)))

    asyncio.run(send())
    thread.join(TIMEOUT)
    assert received == ["one"]


def test_a_thread_that_wakes_a_closed_event_loop_reports_no_error() -> None:
    generated: Any = native
    loop = asyncio.new_event_loop()
    handle = generated._UniffiContinuationHandleMap.insert((loop, loop.create_future()))
    loop.close()
    # An error of the callback would be reported as one that cannot be raised.
    generated._uniffi_continuation_callback(handle, 1)


def test_a_device_with_a_provider_needs_an_event_loop(server: RealServer) -> None:
    async def provider(_: CredentialReason) -> Credential:
        raise AssertionError

    with pytest.raises(RuntimeError, match="no running event loop"):
        PresenceDevice(server.signed_out_device(), provider)


def test_a_forked_process_gets_an_error_instead_of_waiting_for_ever(server: RealServer) -> None:
    async def call() -> None:
        await PresenceApi(server.url).dev_assertion("alice@dev.localhost")

    asyncio.run(call())
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(call())
        except RuntimeError as error:
            os._exit(0 if "forked" in str(error) else 1)
        os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


PROGRAM = """
import asyncio, sys
from presence import *

async def main():
    forward_log(LogLevel.TRACE)
    options = AppServiceOptions(sys.argv[1], sys.argv[2], Secret(sys.argv[3]))
    service = PresenceAppService(options)
    await service.wait_until_connected()
    print("connected", flush=True)
    async for event in service:
        pass

asyncio.run(main())
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
async def test_a_program_with_an_open_channel_ends_when_it_is_told_to(
    server: RealServer, end: signal.Signals
) -> None:
    app = server.application()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, server.url, app.appid, app.api_key],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "connected\n"
    process.send_signal(end)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert "Exception ignored" not in errors
    if end is signal.SIGINT:
        assert errors.rstrip().endswith("KeyboardInterrupt")
    assert -process.returncode == end
