"""Conversion between the classes of this package and those that uniffi generates.

Each class of this package that has a generated counterpart is declared with `mirrors`. Its fields
have the names of the counterpart, except that `since_ms` is `since`, a `datetime`, and
`within_seconds` is `within`, a `timedelta`.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from ._errors import InvalidArgumentError, converted_errors, to_error
from ._native import presence_bindings as native
from ._process import check_process
from ._time import to_datetime, to_milliseconds, to_timedelta

_Mirror = TypeVar("_Mirror", bound=type[Any])
_Result = TypeVar("_Result")
_TO_PYTHON: dict[type, Callable[[Any], Any]] = {}
_TO_NATIVE: dict[type, Callable[[Any], Any]] = {}

# The endings of generated names, with the conversion of a value.
_ENDINGS: dict[str, Callable[[Any], Any]] = {"_ms": to_datetime, "_seconds": to_timedelta}


def mirrors(generated: type) -> Callable[[_Mirror], _Mirror]:
    """Declares that a dataclass has the same fields as a generated class.

    Raises:
        TypeError: if the fields differ, when the package is imported.
    """

    def declare(mirror: _Mirror) -> _Mirror:
        names = [field.name for field in dataclasses.fields(mirror)]
        missing = set(inspect.signature(generated).parameters)
        fields: list[tuple[str, str, Callable[[Any], Any]]] = []
        for name in names:
            ending = next((end for end in _ENDINGS if name + end in missing), "")
            if name + ending not in missing:
                raise TypeError(
                    f"{generated.__qualname__} does not have {mirror.__qualname__}.{name}"
                )
            missing.remove(name + ending)
            fields.append((name, name + ending, _ENDINGS.get(ending, _to_field)))
        if missing:
            raise TypeError(f"{mirror.__qualname__} has no {', '.join(sorted(missing))}")
        _TO_PYTHON[generated] = lambda value: mirror(
            **{name: convert(getattr(value, original)) for name, original, convert in fields}
        )
        _TO_NATIVE[mirror] = lambda value: generated(
            **{original: to_native(getattr(value, name)) for name, original, _ in fields}
        )
        return mirror

    return declare


def register(generated: type, make: Callable[[Any], Any]) -> None:
    """Registers the conversion of a generated class that has no mirror."""
    _TO_PYTHON[generated] = make


class OpenEnum(enum.StrEnum):
    """Names to which a newer server may add others.

    A name that this version does not know is a value too. Its `is_known` is false.
    """

    @property
    def is_known(self) -> bool:
        """Is true if this version knows the name."""
        return type(self).__members__.get(self.name) is self

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum | None:
        if not isinstance(value, str):
            return None
        unknown = str.__new__(cls, value)
        unknown._name_ = unknown._value_ = value
        return unknown


def mirrors_names(generated: Any) -> Callable[[_Mirror], _Mirror]:
    """Declares that an `OpenEnum` has the names of a generated class, whose `UNKNOWN` has a
    text."""

    def declare(mirror: _Mirror) -> _Mirror:
        known = {name: getattr(generated, name) for name in mirror.__members__}
        for name, variant in known.items():
            _TO_PYTHON[variant] = functools.partial(_constant, mirror[name])
        _TO_PYTHON[generated.UNKNOWN] = lambda value: mirror(value.text)
        _TO_NATIVE[mirror] = lambda value: (
            known[value.name]() if value.is_known else generated.UNKNOWN(value.value)
        )
        return mirror

    return declare


def _constant(constant: Any, _: object) -> Any:
    return constant


def _to_field(value: Any) -> Any:
    return tuple(map(to_python, value)) if isinstance(value, list) else to_python(value)


def to_python(value: Any) -> Any:
    """Converts a value of the generated code."""
    convert_it = _TO_PYTHON.get(type(value))
    if convert_it is not None:
        return convert_it(value)
    if isinstance(value, list):
        return [to_python(item) for item in value]
    return to_error(value) if isinstance(value, native.PresenceError) else value


def to_native(value: Any) -> Any:
    """Converts a value for the generated code. An error cannot be converted."""
    convert_it = _TO_NATIVE.get(type(value))
    if convert_it is not None:
        return convert_it(value)
    match value:
        case str():
            return _check_text(value)
        case datetime.datetime():
            if value.tzinfo is None:
                raise InvalidArgumentError("the time has no time zone")
            return to_milliseconds(value)
        case datetime.timedelta():
            return value.total_seconds()
        case list() | tuple():
            return [to_native(item) for item in value]
        case Mapping():
            return {key: to_native(item) for key, item in value.items()}
        case _:
            return value


def _check_text(text: str) -> str:
    """Returns a text. Python has texts that are not Unicode, such as a half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError("the text is not valid Unicode") from None
    return text


async def result(call: Awaitable[Any], kind: type[_Result]) -> _Result:
    """Waits for a call of the generated code, and returns its converted result of this type."""
    return _checked(await convert(call), kind)


async def results(call: Awaitable[Any], kind: type[_Result]) -> list[_Result]:
    """Waits for a call of the generated code that returns a list of this type."""
    return [_checked(item, kind) for item in await convert(call)]


def _checked(value: Any, kind: type[_Result]) -> _Result:
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, not {type(value).__name__}")
    return value


async def convert(call: Awaitable[Any]) -> Any:
    """Waits for a call of the generated code, and converts its result and its errors.

    Cancelling it cancels the call. Nothing is awaited after the call has returned.
    """
    check_process()
    with converted_errors():
        return to_python(await call)
