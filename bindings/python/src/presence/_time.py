"""Conversion of times: the generated code has milliseconds since 1970 UTC, and seconds."""

from __future__ import annotations

import datetime
from typing import overload

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND = datetime.timedelta(milliseconds=1)
_LAST = datetime.datetime.max.replace(tzinfo=datetime.UTC)


@overload
def to_datetime(milliseconds: int) -> datetime.datetime: ...
@overload
def to_datetime(milliseconds: int | None) -> datetime.datetime | None: ...
def to_datetime(milliseconds: int | None) -> datetime.datetime | None:
    """Returns a time in UTC. A time after the year 9999 becomes the last one of that year."""
    if milliseconds is None:
        return None
    try:
        return _EPOCH + milliseconds * _MILLISECOND
    except OverflowError:
        return _LAST


def to_milliseconds(time: datetime.datetime) -> int:
    """Returns the milliseconds since 1970 UTC of a time with a time zone."""
    return (time - _EPOCH) // _MILLISECOND


@overload
def to_timedelta(seconds: float) -> datetime.timedelta: ...
@overload
def to_timedelta(seconds: float | None) -> datetime.timedelta | None: ...
def to_timedelta(seconds: float | None) -> datetime.timedelta | None:
    """Returns a length of time. One that is too long becomes the longest that Python has."""
    if seconds is None:
        return None
    try:
        return datetime.timedelta(seconds=seconds)
    except OverflowError:
        return datetime.timedelta.max
