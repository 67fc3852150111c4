"""The wake-up of an event loop by a thread of the SDK."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import time
from typing import Any

from ._native import presence_bindings as native

_generated: Any = native


def _wake(handle: int, poll_code: int) -> None:
    """Continues a call that waits, in its event loop.

    The loop may be closed: if its last call was cancelled while a thread was about to wake it.
    """
    loop: asyncio.AbstractEventLoop
    loop, future = _generated._UniffiContinuationHandleMap.remove(handle)
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_generated._uniffi_set_future_result, future, poll_code)


def _wait_for_wakes() -> None:
    """Waits until no thread is about to wake a call, for at most a second.

    A thread that enters the interpreter while it ends aborts the process.
    """
    for _ in range(100):
        is_quiet = not _generated._UniffiContinuationHandleMap
        # The thread that has taken the last handle leaves the interpreter meanwhile.
        time.sleep(0.01)
        if is_quiet:
            return


def ignore_closed_loops() -> None:
    """Replaces the callback of the generated code, which reports an error for a closed loop, and
    lets the last call of it return before the interpreter ends."""
    callback = _generated._UNIFFI_RUST_FUTURE_CONTINUATION_CALLBACK
    _generated._uniffi_continuation_callback = callback(_wake)
    atexit.register(_wait_for_wakes)
