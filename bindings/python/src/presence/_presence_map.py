"""The current presence of the users of an Application, kept in memory or in a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Self

from ._convert import convert, to_native, to_python
from ._errors import converted_errors
from ._events import AppServiceEvent, StateEvent
from ._native import presence_bindings as native
from ._presence import PresenceChange, PresenceStatus, PresenceUpdate
from ._states import Connected, StorageCounters


class PresenceMap:
    """The users of an Application who are not offline, according to the events of a
    `PresenceAppService`.

    Apply every event in order: the map is then correct after a reconnect, a gap and a revoked grant
    too. `len` is the number of users who are not offline, and iteration yields them in no
    particular order.
    """

    def __init__(self) -> None:
        self._map = _new_map()

    @classmethod
    async def load(cls, file: str | os.PathLike[str]) -> Self:
        """Loads the map of a file, in which it is kept from then on, with the cursor that belongs
        to it.

        The map is empty if there is no file, or one that cannot be read: see `storage_counters`.
        Pass `cursor` to the options of the channel, so that it continues there.

        Map and cursor are saved together, at most once a second. After a crash the changes of the
        last moments come again, and none is missed. Only the owner can read the file. It holds the
        PUIDs, statuses and texts of the users who are not offline, and no API key.
        """
        loaded = cls()
        loaded._map = await convert(native.PresenceMap.load(to_native(os.fspath(file))))
        return loaded

    def apply(self, event: AppServiceEvent) -> list[PresenceChange]:
        """Applies an event, and returns the changes: different statuses or status texts, and
        revoked grants.

        Raises:
            InvalidArgumentError: if the event does not come from a channel.
        """
        with converted_errors():
            changes: list[PresenceChange] = to_python(self._map.apply(_to_native_event(event)))
        return changes

    def get(self, uid: str) -> PresenceUpdate | None:
        """Returns the presence of a user; none if the user is offline.

        Raises:
            InvalidArgumentError: if `uid` is not a PUID.
        """
        with converted_errors():
            update: PresenceUpdate | None = to_python(self._map.get(to_native(uid)))
        return update

    def status(self, uid: str) -> PresenceStatus:
        """Returns the status of a user. An unknown user is offline.

        Raises:
            InvalidArgumentError: if `uid` is not a PUID.
        """
        with converted_errors():
            status: PresenceStatus = to_python(self._map.status(to_native(uid)))
        return status

    def __len__(self) -> int:
        return self._map.count()

    def __iter__(self) -> Iterator[PresenceUpdate]:
        users: list[PresenceUpdate] = to_python(self._map.all())
        return iter(users)

    @property
    def is_live(self) -> bool:
        """Is true if the map is up to date: a snapshot or update has arrived since the channel was
        last connected. Otherwise the map shows the earlier presence."""
        return self._map.is_live()

    @property
    def cursor(self) -> str | None:
        """The cursor that belongs to the map, if it is kept in a file and has one."""
        return self._map.cursor()

    async def flush(self) -> None:
        """Waits until all events that were applied are saved, or until saving them has failed.
        Returns at once if the map is not kept in a file."""
        await convert(self._map.flush())

    def storage_counters(self) -> StorageCounters:
        """Returns what was counted about the file."""
        counters: StorageCounters = to_python(self._map.storage_counters())
        return counters


def _new_map() -> native.PresenceMap:
    generated: Any = native.PresenceMap
    new: native.PresenceMap = generated()
    return new


def _to_native_event(event: AppServiceEvent) -> native.AppServiceEvent:
    """Converts an event. Of a state the map needs only whether it is that of a connected channel,
    and the error of another state cannot be converted."""
    converted: native.AppServiceEvent
    if isinstance(event, StateEvent):
        connected = isinstance(event.state, Connected)
        states: Any = native.ConnectionState
        state: Any = states.CONNECTED() if connected else states.CONNECTING(1)
        event_class: Any = native.AppServiceEvent.STATE
        converted = event_class(state)
    else:
        converted = to_native(event)
    return converted
