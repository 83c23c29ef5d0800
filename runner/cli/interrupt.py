"""Requests to stop: Ctrl-C, and the signals of a scheduler.

Ctrl-C (SIGINT) and SIGTERM stop after the current step; so does SIGUSR1, by which a scheduler says
that the time of a job is over soon. A second Ctrl-C stops at once, and so does SIGTERM after
another signal. Either of a scheduler's signals that comes twice counts once: it may reach a process
by itself and by way of the script that started it.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import Any

from runner.core.errors import Interrupted, TimeOver

STOPPED = 130
TIME_IS_OVER = signal.SIGUSR1


class StopRequest:
    """A context in which signals are requests to stop; call it to ask for one."""

    def __init__(self) -> None:
        self._by = 0
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Return whether a stop was requested."""
        return self._by != 0

    def is_time_over(self) -> bool:
        """Return whether a scheduler has said that the time is over soon."""
        return self._by == TIME_IS_OVER

    def error(self, found: str, hint: str = "") -> Interrupted:
        """Return the error that a stop ends with, whose exit code tells who asked for it."""
        kind = TimeOver if self.is_time_over() else Interrupted
        return kind(found, hint=hint)

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM, TIME_IS_OVER):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Note a request; not by ``sys.stderr``: this may have interrupted a write to it."""
        if self._by and (number == TIME_IS_OVER or number == self._by != signal.SIGINT):
            return
        if self._by and _is_importing(frame):
            os.write(2, b"stopped\n")
            os._exit(STOPPED)  # an exception there may be swallowed, or become another
        if self._by:
            raise KeyboardInterrupt
        self._by = number
        with suppress(OSError):  # whoever reads standard error has gone: stopping matters more
            os.write(2, b"\nstopping after the current step; Ctrl-C again stops at once\n")


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
