"""The process that the threads of the SDK belong to."""

from __future__ import annotations

import os

_process: int | None = None


def check_process() -> None:
    """Checks that this process has the threads of the SDK.

    A forked process does not have the threads of its parent, so a call would wait for ever.

    Raises:
        RuntimeError: if the SDK was used before the process was forked.
    """
    global _process
    if _process is None:
        _process = os.getpid()
    elif _process != os.getpid():
        raise RuntimeError(
            "the presence SDK was used before this process was forked: open channels after the fork"
        )
