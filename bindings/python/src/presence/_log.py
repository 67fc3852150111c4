"""The log of the SDK, in the `logging` of Python."""

from __future__ import annotations

import atexit
import logging
import threading

from ._errors import converted_errors
from ._native import presence_bindings as native
from ._native.presence_bindings import LogLevel

_log = logging.getLogger("presence")
_LEVELS = {
    LogLevel.ERROR: logging.ERROR,
    LogLevel.WARN: logging.WARNING,
    LogLevel.INFO: logging.INFO,
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.TRACE: 5,
}


class _Forwarder(native.LogSink):
    """Gives each line to the logger `presence`. The thread of the log calls it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_over = False

    def log(self, line: native.LogLine) -> None:
        with self._lock:
            if not self._is_over:
                _log.log(_LEVELS[line.level], "%s: %s", line.target, line.text)

    def end(self) -> None:
        """Waits until the line that is being logged is complete. No other follows."""
        with self._lock:
            self._is_over = True


_forwarder: _Forwarder | None = None


def forward_log(level: LogLevel | None = LogLevel.INFO) -> None:
    """Sends the log of the SDK to the logger `presence` of Python's `logging`, from now on.

    Lines less severe than `level` are not logged, and with none nothing is. `LogLevel.TRACE` has
    the number 5 in `logging`. No line contains a secret. A thread of the SDK delivers the lines
    through a queue of 256; those that do not fit are dropped and counted.

    Raises:
        UnexpectedError: if other code in this process already receives the log.
    """
    global _forwarder
    if _forwarder is None:
        _forwarder = _Forwarder()
        # No thread may enter the interpreter when it ends.
        atexit.register(_end, _forwarder)
    with converted_errors():
        native.set_log_sink(_forwarder if level else None, level or LogLevel.ERROR)


def _end(forwarder: _Forwarder) -> None:
    native.set_log_sink(None, LogLevel.ERROR)
    forwarder.end()
