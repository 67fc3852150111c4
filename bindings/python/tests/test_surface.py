"""The package has everything that the generated code has, and unknown values do no harm."""

import datetime
import inspect
import pickle
from typing import Any

import presence
import pytest
from presence import (
    PresenceMap,
    PresenceOfflineCause,
    PresenceStatus,
    PresenceUpdate,
    RefusedError,
    SnapshotEvent,
)
from presence._convert import to_native, to_python
from presence._native import presence_bindings as native

# The items that no application needs, such as the parts of `CachedCredentials`.
INTERNAL = {
    "CachedCredential",
    "CancelToken",
    "CredentialCache",
    "CredentialFetch",
    "CredentialLookup",
    "InternalError",
    "LogLine",
    "LogSink",
    "NumberedAppServiceEvent",
    "NumberedCredentialRequest",
    "NumberedNotification",
    "debug_live_objects",
}
RENAMED = {
    "AppServiceChannel": "PresenceAppService",
    "DeviceChannel": "PresenceDevice",
    "set_log_sink": "forward_log",
}
# The methods of the generated channels that other ones of the package call.
REPLACED = {
    "confirm_credential_request",
    "confirm_event",
    "confirm_notification",
    "next_credential_request",
    "next_credential_request_end",
    "next_event",
    "next_notification",
    "next_state",
    "report_credential_failure",
    "report_signed_out",
    "shutdown",
    "start_shutdown",
    # `len` and the iteration of a map.
    "all",
    "count",
    # A function of Python.
    "open",
}


def generated_items() -> list[str]:
    added = ("Protocol", "Impl")
    return [name for name in native.__all__ if not name.endswith(added) and name not in INTERNAL]


def test_every_generated_item_has_a_counterpart() -> None:
    expected = {RENAMED.get(name, name) for name in generated_items()}
    assert expected <= set(presence.__all__)


@pytest.mark.parametrize(
    "name",
    [
        "AppServiceApi",
        "AppServiceChannel",
        "DeviceChannel",
        "PresenceApi",
        "PresenceMap",
        "UserApi",
    ],
)
def test_every_generated_method_has_a_counterpart(name: str) -> None:
    def methods(of: type) -> set[str]:
        return {method for method in dir(of) if not method.startswith("_")} - REPLACED

    wrapper = getattr(presence, RENAMED.get(name, name))
    assert methods(getattr(native, name)) <= methods(wrapper)


def test_every_public_item_is_documented() -> None:
    for name in presence.__all__:
        item = getattr(presence, name)
        if inspect.isclass(item) or inspect.isfunction(item):
            assert inspect.getdoc(item), name
        if inspect.isclass(item):
            for method, function in vars(item).items():
                if not method.startswith("_") and inspect.isfunction(function):
                    assert inspect.getdoc(function), f"{name}.{method}"


def test_a_status_of_a_newer_server_is_kept() -> None:
    generated: object = native.PresenceStatus.UNKNOWN("asleep")
    status = to_python(generated)
    assert status == PresenceStatus("asleep") == "asleep"
    assert hash(status) == hash(PresenceStatus("asleep"))
    assert not status.is_known
    assert PresenceStatus.ONLINE.is_known
    assert not PresenceStatus("ONLINE").is_known
    assert pickle.loads(pickle.dumps(PresenceStatus.ONLINE)) is PresenceStatus.ONLINE
    assert pickle.loads(pickle.dumps(status)) == status
    assert to_native(status) == generated
    with pytest.raises(ValueError, match="7"):
        PresenceStatus(7)  # type: ignore[arg-type]


def test_an_update_is_converted_back_unchanged() -> None:
    since = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    cause = PresenceOfflineCause("vanished")
    update = PresenceUpdate(
        "0" * 32, PresenceStatus.OFFLINE, cause, 2**64 - 1, since, "at lunch", False
    )
    assert to_python(to_native(update)) == update
    users = PresenceMap()
    online = PresenceUpdate("0" * 32, PresenceStatus.ONLINE, None, 1, since, None, False)
    (change,) = users.apply(SnapshotEvent((online,), False, None))
    assert change.after == online
    assert list(users) == [online]


def test_times_of_a_server_that_are_out_of_range_do_no_harm() -> None:
    generated = native.PresenceUpdate(
        uid="0" * 32,
        status=native.PresenceStatus.ONLINE(),  # type: ignore[arg-type, no-untyped-call]
        cause=None,
        version=1,
        since_ms=2**63 - 1,
        message=None,
        revoked=False,
    )
    assert to_python(generated).since.year == 9999
    errors: Any = native.PresenceError
    refused = errors.Refused(native.PresenceErrno.SLOW_DOWN, 20, "Slow down", 1e300, True)
    error = to_python(refused)
    assert isinstance(error, RefusedError)
    assert error.retry_after == datetime.timedelta.max
