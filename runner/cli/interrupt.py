"""Ctrl-C: once stops after the current step, twice at once."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

import typer

STOPPED = 130


class StopRequest:
    """A context in which SIGINT and SIGTERM are requests to stop; call it to ask for one."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Return whether a stop was requested."""
        return self._asked

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._asked and _is_importing(frame):
            os.write(2, b"stopped\n")
            os._exit(STOPPED)  # an exception there may be swallowed, or become another
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        typer.echo("\nstopping after the current step; Ctrl-C again stops at once", err=True)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
