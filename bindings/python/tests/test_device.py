"""The channel of a device, and what an Application sees of it."""

import dataclasses

import pytest
from presence import (
    Connected,
    Credential,
    CredentialReason,
    CredentialWanted,
    Ended,
    EndedError,
    EndReason,
    FirstCredential,
    InvalidArgumentError,
    PresenceAppService,
    PresenceDevice,
    PresenceErrno,
    PresenceMap,
    PresenceStatus,
    RefusedError,
    SignedOut,
    SignedOutError,
    Waiting,
    assertion,
)

from real_server import RealServer
from waiting import all_of, end_reason, state_of, status_of, within

ONLINE, UNAVAILABLE = PresenceStatus.ONLINE, PresenceStatus.UNAVAILABLE
OFFLINE = PresenceStatus.OFFLINE


async def test_an_application_sees_the_status_of_a_device(server: RealServer) -> None:
    app = server.application()
    uid = server.grant("alice", app)
    users = PresenceMap()
    async with PresenceAppService(server.app_service(app)) as service:
        async with PresenceDevice(server.device("alice")) as device:
            await status_of(service, users, uid, ONLINE)
            device.set_status(UNAVAILABLE, "at lunch")
            await within(device.confirmed())
            await status_of(service, users, uid, UNAVAILABLE, "at lunch")
            device.set_visibility([])
            await status_of(service, users, uid, OFFLINE)
            device.set_visibility([app.appid])
            await status_of(service, users, uid, UNAVAILABLE, "at lunch")
        # There is no grace time after an orderly close.
        await status_of(service, users, uid, OFFLINE)


async def test_the_last_status_is_sent_again_after_the_server_was_killed(
    server: RealServer,
) -> None:
    app = server.application()
    uid = server.grant("alice", app)
    users = PresenceMap()

    async def provider(_: CredentialReason) -> Credential:
        return server.credential("alice")

    async with (
        PresenceAppService(server.app_service(app)) as service,
        PresenceDevice(server.signed_out_device(), provider) as device,
    ):
        await status_of(service, users, uid, ONLINE)
        server.kill()
        waiting = await state_of(device, Waiting)
        assert waiting.reason.is_retryable
        assert waiting.retry_in.total_seconds() <= 0.2
        device.set_status(UNAVAILABLE, "in a tunnel")
        server.restart()
        await within(device.confirmed())
        await status_of(service, users, uid, UNAVAILABLE, "in a tunnel")


async def test_without_a_provider_the_program_gets_the_credential_requests(
    server: RealServer,
) -> None:
    async with PresenceDevice(server.signed_out_device()) as device:
        requests = device.credential_requests()
        assert await within(anext(requests)) == FirstCredential()
        assert device.state == CredentialWanted(FirstCredential())
        device.set_credential(server.credential("alice"))
        await within(device.wait_until_connected())
        device.start_close()
        assert await all_of(requests) == []


async def test_a_user_who_is_signed_out_stays_signed_out_until_the_program_sets_a_credential(
    server: RealServer,
) -> None:
    async def provider(_: CredentialReason) -> Credential:
        raise SignedOutError

    options = dataclasses.replace(server.device("alice"), credential=assertion("nonsense"))
    async with PresenceDevice(options, provider) as device:
        signed_out = await state_of(device, SignedOut)
        assert isinstance(signed_out.reason, RefusedError)
        # The error for the assertion, or that of the provider, which may come before it is seen.
        expected = (PresenceErrno.INVALID_ASSERTION, PresenceErrno.NOT_AUTHENTICATED)
        assert signed_out.reason.errno in expected
        device.set_credential(server.credential("alice"))
        await state_of(device, Connected)


async def test_a_newer_connection_of_the_same_device_replaces_the_older_one(
    server: RealServer,
) -> None:
    async with PresenceDevice(server.device("alice")) as older:
        await within(older.wait_until_connected())
        async with PresenceDevice(server.device("alice")) as newer:
            await within(newer.wait_until_connected())
            assert await end_reason(older) is EndReason.REPLACED
            assert await all_of(older) == []
            with pytest.raises(EndedError) as ended:
                await older.confirmed()
            assert ended.value.reason is EndReason.REPLACED


async def test_a_device_that_the_user_ends_does_not_reconnect(server: RealServer) -> None:
    async with PresenceDevice(server.device("alice")) as device:
        await within(device.wait_until_connected())
        server.command("end_device", name="alice", device="phone")
        assert await end_reason(device) is EndReason.ENDED_BY_USER
        assert device.state == Ended(EndReason.ENDED_BY_USER)


async def test_invalid_arguments_are_refused_before_anything_is_sent(server: RealServer) -> None:
    options = server.signed_out_device()
    for invalid in (
        dataclasses.replace(options, server="ftp://x"),
        dataclasses.replace(options, device="a b"),
        dataclasses.replace(options, message="a\nb"),
        dataclasses.replace(options, message="\udc00"),
    ):
        with pytest.raises(InvalidArgumentError):
            PresenceDevice(invalid)
    with pytest.raises(TypeError):
        PresenceDevice(dataclasses.replace(options, device=7))  # type: ignore[arg-type]
    async with PresenceDevice(options) as device:
        with pytest.raises(InvalidArgumentError):
            device.set_status(ONLINE, "x" * 129)
        with pytest.raises(InvalidArgumentError):
            device.set_visibility(["not-an-id"])
