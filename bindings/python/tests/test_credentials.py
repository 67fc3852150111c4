"""Credential providers that fail and hang, and the cache of credentials."""

import asyncio
import dataclasses
import datetime
from collections.abc import Awaitable, Callable

import pytest
from presence import (
    CachedCredentials,
    ChannelTiming,
    Credential,
    CredentialReason,
    ExpiringCredential,
    FirstCredential,
    InvalidArgumentError,
    PresenceDevice,
    SignedOut,
    SignedOutError,
    Token,
    UnexpectedError,
    token,
)

from real_server import RealServer
from waiting import state_of, within

HOUR = datetime.timedelta(hours=1)


def revealed(credential: Credential) -> str:
    """Returns the text of a token."""
    assert isinstance(credential, Token)
    return credential.token.reveal()


async def test_a_short_session_is_renewed_again_and_again_without_a_reconnect(
    new_server: RealServer,
) -> None:
    new_server.start(session_seconds=2)
    reasons: list[CredentialReason] = []
    renewed_three_times = asyncio.Event()

    async def provider(reason: CredentialReason) -> Credential:
        reasons.append(reason)
        if len(reasons) == 4:
            renewed_three_times.set()
        return new_server.credential("alice")

    async with PresenceDevice(new_server.signed_out_device(), provider) as device:
        await within(renewed_three_times.wait())
        await within(device.confirmed())
        assert device.counters().connections == 1
    assert reasons[0] == FirstCredential()


async def fail_with_an_error() -> None:
    raise ConnectionError("the identity provider cannot be reached")


async def run_into_its_own_time_limit() -> None:
    async with asyncio.timeout(0.001):
        await asyncio.Event().wait()


async def wait_for_a_cancelled_task() -> None:
    task = asyncio.create_task(asyncio.Event().wait())
    task.cancel()
    await task


@pytest.mark.parametrize(
    "fail", [fail_with_an_error, run_into_its_own_time_limit, wait_for_a_cancelled_task]
)
async def test_a_provider_that_fails_is_called_again(
    server: RealServer, fail: Callable[[], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    calls = 0

    async def provider(_: CredentialReason) -> Credential:
        nonlocal calls
        calls += 1
        if calls == 1:
            await fail()
        return server.credential("alice")

    async with PresenceDevice(server.signed_out_device(), provider) as device:
        await within(device.wait_until_connected())
    assert calls == 2
    assert "the credential provider failed" in caplog.text
    assert "identity provider" not in caplog.text


async def test_a_hint_ends_the_wait_before_the_provider_is_called_again(
    server: RealServer,
) -> None:
    calls = 0

    async def provider(_: CredentialReason) -> Credential:
        nonlocal calls
        calls += 1
        if calls <= 16:
            await fail_with_an_error()
        return server.credential("alice")

    async def hint(device: PresenceDevice) -> None:
        while True:
            device.network_changed()
            await asyncio.sleep(0.005)

    # Without hints the last waits would take many minutes.
    timing = ChannelTiming(backoff_floor=datetime.timedelta(milliseconds=20), backoff_ceiling=HOUR)
    options = dataclasses.replace(server.signed_out_device(), timing=timing)
    async with PresenceDevice(options, provider) as device:
        hinting = asyncio.create_task(hint(device))
        await within(device.wait_until_connected())
        hinting.cancel()
    assert calls == 17


async def test_a_credential_of_the_program_cancels_a_provider_that_hangs(
    server: RealServer,
) -> None:
    called, cancelled = asyncio.Event(), asyncio.Event()

    async def provider(_: CredentialReason) -> Credential:
        called.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    async with PresenceDevice(server.signed_out_device(), provider) as device:
        await within(called.wait())
        device.set_credential(server.credential("alice"))
        await within(cancelled.wait())
        await within(device.wait_until_connected())


async def test_a_provider_can_close_its_device(server: RealServer) -> None:
    closing = asyncio.Event()

    async def provider(_: CredentialReason) -> Credential:
        closing.set()
        await device.close()
        raise AssertionError

    device = PresenceDevice(server.signed_out_device(), provider)
    await within(closing.wait())
    await within(device.close())


async def test_a_provider_of_a_user_who_has_to_sign_in_is_not_called_again(
    server: RealServer,
) -> None:
    calls = 0

    async def provider(_: CredentialReason) -> Credential:
        nonlocal calls
        calls += 1
        raise SignedOutError

    async with PresenceDevice(server.signed_out_device(), provider) as device:
        await state_of(device, SignedOut)
        device.set_credential(server.credential("alice"))
        await within(device.confirmed())
    assert calls == 1


async def test_devices_that_share_a_cache_sign_in_once(server: RealServer) -> None:
    fetches = 0

    async def fetch() -> ExpiringCredential:
        nonlocal fetches
        fetches += 1
        return ExpiringCredential(token(server.session("alice")))

    credentials = CachedCredentials(fetch)
    devices = [
        PresenceDevice(server.signed_out_device(f"phone{number}"), credentials.provider())
        for number in range(5)
    ]
    for device in devices:
        await within(device.wait_until_connected())
    assert fetches == 1
    first = await credentials.credential()
    credentials.invalidate(first)
    assert revealed(await credentials.credential()) != revealed(first)
    assert fetches == 2
    for device in devices:
        await within(device.close())


async def test_a_credential_is_not_given_shortly_before_its_end() -> None:
    fetched: list[str] = []

    async def fetch() -> ExpiringCredential:
        fetched.append(f"number {len(fetched)}")
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=30)
        return ExpiringCredential(token(fetched[-1]), end)

    for margin, expected in ((HOUR / 6, ["number 0"] * 2), (HOUR, ["number 0", "number 1"])):
        credentials = CachedCredentials(fetch, margin)
        given = [revealed(await credentials.credential()) for _ in range(2)]
        assert given == expected
        fetched.clear()
    with pytest.raises(InvalidArgumentError):
        CachedCredentials(fetch, -HOUR)


async def test_a_time_without_a_time_zone_is_refused() -> None:
    async def fetch() -> ExpiringCredential:
        return ExpiringCredential(token("any"), datetime.datetime(2030, 1, 1))

    with pytest.raises(InvalidArgumentError, match="time zone"):
        await CachedCredentials(fetch).credential()


async def test_a_failure_of_a_fetch_goes_to_all_that_wait_and_the_next_call_fetches_again() -> None:
    fetches = 0
    begun, fail = asyncio.Event(), asyncio.Event()

    async def fetch() -> ExpiringCredential:
        nonlocal fetches
        fetches += 1
        if fetches == 1:
            begun.set()
            await fail.wait()
            raise SignedOutError
        return ExpiringCredential(token("second"))

    credentials = CachedCredentials(fetch)
    tasks = [asyncio.create_task(credentials.credential())]
    await within(begun.wait())
    tasks += [asyncio.create_task(credentials.credential()) for _ in range(10)]
    # Each of them begins to wait in its first step.
    await asyncio.sleep(0)
    fail.set()
    failures = await within(asyncio.gather(*tasks, return_exceptions=True))
    assert all(isinstance(failure, SignedOutError) for failure in failures)
    assert revealed(await credentials.credential()) == "second"


async def test_a_fetch_that_is_cancelled_is_made_by_another_task() -> None:
    fetches = 0
    begun = asyncio.Event()

    async def fetch() -> ExpiringCredential:
        nonlocal fetches
        fetches += 1
        if fetches == 1:
            begun.set()
            await asyncio.Event().wait()
        return ExpiringCredential(token("second"))

    credentials = CachedCredentials(fetch)
    fetching = asyncio.create_task(credentials.credential())
    await within(begun.wait())
    waiting = asyncio.create_task(credentials.credential())
    await asyncio.sleep(0)
    fetching.cancel()
    assert revealed(await within(waiting)) == "second"


async def test_a_refused_credential_that_is_fetched_once_more_is_an_error() -> None:
    async def fetch() -> ExpiringCredential:
        return ExpiringCredential(token("stale"))

    credentials = CachedCredentials(fetch)
    credentials.invalidate(await credentials.credential())
    with pytest.raises(UnexpectedError):
        await credentials.credential()
    credentials.clear()
    assert revealed(await credentials.credential()) == "stale"
