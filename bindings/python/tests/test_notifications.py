"""Notifications from a back end to a device, and the acknowledgements."""

import asyncio
import contextlib
import datetime

import pytest
from presence import (
    InvalidArgumentError,
    LiveNotification,
    NewNotification,
    NotificationReceipt,
    NotQueued,
    PresenceApi,
    PresenceAppService,
    PresenceDevice,
    PresenceErrno,
    Queued,
    ReceiptsEvent,
    ReceiptState,
    RefusedError,
    Secret,
)
from presence._convert import to_native
from presence._native import presence_bindings as native

from real_server import RealServer
from waiting import event_of, take, within

MINUTE = datetime.timedelta(minutes=1)


async def ignore(_: LiveNotification) -> None:
    """Handles a notification that the test does not look at."""


async def test_a_notification_reaches_the_device_and_its_receipt_the_back_end(
    server: RealServer,
) -> None:
    app = server.application("Lunch club")
    uid = server.grant("alice", app)
    async with (
        PresenceAppService(server.app_service(app, receipts=True)) as service,
        PresenceDevice(server.device("alice")) as device,
    ):
        await within(device.wait_until_connected())
        item = NewNotification(uid, "Lunch?", action="https://lunch.example/today")
        queued = await within(service.notify_one(item))
        handling = asyncio.create_task(device.handle_notifications(ignore))
        receipts = await event_of(service, ReceiptsEvent)
        expected = NotificationReceipt(queued.id, uid, ReceiptState.ACKNOWLEDGED)
        assert receipts == ReceiptsEvent((expected,), 0)
        handling.cancel()


async def test_a_notification_that_nobody_takes_has_a_receipt_too(server: RealServer) -> None:
    app = server.application()
    uid = server.grant("alice", app)
    async with PresenceAppService(server.app_service(app, receipts=True)) as service:
        now_or_never = NewNotification(uid, "Now?", ttl=datetime.timedelta(0))
        queued = await within(service.notify_one(now_or_never))
        server.command("revoke", name="alice", appid=app.appid)
        (receipt,) = (await event_of(service, ReceiptsEvent)).receipts
        assert (receipt.id, receipt.state) == (queued.id, ReceiptState.DROPPED)


async def test_only_notifications_without_an_acknowledgement_are_delivered_to_the_next_channel(
    server: RealServer,
) -> None:
    app = server.application("Lunch club")
    uid = server.grant("alice", app)
    items = [NewNotification(uid, "first", source="Bob"), NewNotification(uid, "second")]
    async with PresenceAppService(server.app_service(app)) as service:
        async with PresenceDevice(server.device("alice")) as device:
            await within(service.notify(items))
            both = await take(device, 2)
            assert [(one.message, one.source) for one in both] == [
                ("first", "Bob"),
                ("second", "Lunch club"),
            ]
            age = datetime.datetime.now(datetime.UTC) - both[0].sent_at
            assert abs(age) < MINUTE
            device.acknowledge(both[0])
            await within(device.confirmed())
        async with PresenceDevice(server.device("alice")) as device:
            await within(service.notify_one(NewNotification(uid, "third")))
            assert [one.message for one in await take(device, 2)] == ["second", "third"]


async def test_each_notification_of_a_batch_has_its_own_result(server: RealServer) -> None:
    app = server.application()
    uid = server.grant("alice", app)
    once = NewNotification(uid, "good too", ttl=MINUTE, idempotency_key="once")
    items = [
        NewNotification(uid, "good"),
        NewNotification("not-an-id", "bad"),
        NewNotification("0" * 32, "unknown"),
        NewNotification(uid, "x" * 513),
        once,
        once,
    ]
    async with PresenceAppService(server.app_service(app)) as service:
        results = await within(service.notify(items))
        queued = [result.queued for result in results if isinstance(result, Queued)]
        assert [isinstance(result, Queued) for result in results] == [
            True, False, False, False, True, True,
        ]  # fmt: skip
        assert queued[1].id == queued[2].id
        reasons = [result.reason for result in results if isinstance(result, NotQueued)]
        assert isinstance(reasons[0], InvalidArgumentError)
        assert isinstance(reasons[1], RefusedError)
        assert reasons[1].errno is PresenceErrno.UNKNOWN_UID
        assert isinstance(reasons[2], RefusedError)
        assert reasons[2].code == 12
        with pytest.raises(RefusedError):
            await service.notify_one(items[2])


def test_a_notification_has_an_idempotency_key_and_a_ttl_of_whole_seconds() -> None:
    item = NewNotification("0" * 32, "Lunch?")
    assert len(item.idempotency_key) == 32
    assert item.idempotency_key != NewNotification("0" * 32, "Lunch?").idempotency_key
    for ttl in (-MINUTE, MINUTE / 7, datetime.timedelta.max):
        with pytest.raises(InvalidArgumentError, match="whole seconds"):
            NewNotification("0" * 32, "Lunch?", ttl=ttl)


async def test_a_task_that_is_cancelled_again_and_again_loses_and_repeats_no_notification(
    server: RealServer,
) -> None:
    app = server.application()
    uid = server.grant("alice", app)
    expected = [f"number {number}" for number in range(90)]
    received: list[str] = []

    async def send(service: PresenceAppService) -> None:
        for start in range(0, 90, 10):
            await service.notify(
                [NewNotification(uid, text) for text in expected[start : start + 10]]
            )

    async def receive(notification: LiveNotification) -> None:
        received.append(notification.message)

    async with (
        PresenceAppService(server.app_service(app)) as service,
        PresenceDevice(server.device("alice")) as device,
    ):
        await within(device.wait_until_connected())
        sending = asyncio.create_task(send(service))
        async with asyncio.timeout(30):
            while len(received) < len(expected):
                # Cancelled at an arbitrary point.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.002):
                        await device.handle_notifications(receive)
            await sending
        assert received == expected
        await within(device.confirmed())


async def test_the_generated_channel_returns_a_notification_again_until_it_is_confirmed(
    server: RealServer,
) -> None:
    app = server.application()
    uid = server.grant("alice", app)
    channel = native.DeviceChannel.open(to_native(server.device("alice")))
    server.notify(app, uid, "once")
    first = await within(channel.next_notification())
    assert first
    assert first.notification.message == "once"
    assert await within(channel.next_notification()) == first
    channel.confirm_notification(first.number)
    server.notify(app, uid, "twice")
    second = await within(channel.next_notification())
    assert second
    assert second.notification.message == "twice"
    await within(channel.shutdown())


async def test_several_tasks_share_the_notifications(server: RealServer) -> None:
    app = server.application()
    uid = server.grant("alice", app)
    texts = [f"number {number:02}" for number in range(60)]
    received: list[str] = []

    async def read(device: PresenceDevice) -> None:
        async for notification in device:
            received.append(notification.message)
            # The other tasks get a turn.
            await asyncio.sleep(0)
            if len(received) == len(texts):
                device.start_close()

    async with PresenceDevice(server.device("alice")) as device:
        service = PresenceApi(server.url).app_service(app.appid, Secret(app.api_key))
        await within(service.notify([NewNotification(uid, text) for text in texts]))
        await within(asyncio.gather(*(read(device) for _ in range(4))))
    assert sorted(received) == texts


async def test_more_than_a_thousand_unread_notifications_wait_and_none_is_lost(
    new_server: RealServer,
) -> None:
    new_server.start(verifications_burst=100)
    api = PresenceApi(new_server.url)
    sent: list[str] = []
    # The queue of one Application is limited, so there are several.
    for number in range(12):
        app = new_server.application(f"Application {number}")
        uid = new_server.grant("alice", app)
        texts = [f"{number}/{text}" for text in range(100)]
        items = [NewNotification(uid, text) for text in texts]
        await within(api.app_service(app.appid, Secret(app.api_key)).notify(items))
        sent += texts
    async with PresenceDevice(new_server.device("alice")) as device:
        await within(device.confirmed())
        received = await take(device, len(sent))
    assert sorted(one.message for one in received) == sorted(sent)
