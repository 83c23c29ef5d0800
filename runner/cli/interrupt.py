"""Ctrl-C: once stops after the current step, twice at once."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import typer


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
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        typer.echo("\nstopping after the current step; Ctrl-C again stops at once", err=True)
