"""The numerics of this process once somebody asks for them, since they take torch.

Where all runs are finished nobody does, and a command ends before torch would be there.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.bind.request import Request
    from runner.engine.numerics import Numerics

KNOWN = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,3})?")
"""Names of devices; whether there is one here, only torch can say, which takes seconds."""


class LateNumerics:
    """The numerics that a request asks for, made when they are first needed."""

    def __init__(self, request: Request) -> None:
        """Make nothing yet.

        Raises:
            UsageError: when nothing is called so; that there is none here is told by what needs it.
        """
        self._device, self._threads = request.device, request.threads
        self._deterministic = request.deterministic
        if self._device is not None and not KNOWN.fullmatch(self._device):
            from runner.engine.device import choose_device

            choose_device(self._device)

    @cached_property
    def begun(self) -> Numerics:
        """The numerics; this process computes with them from now on.

        Raises:
            UsageError: when there is no such device here.
        """
        from runner.engine.device import choose_device
        from runner.engine.numerics import begin_numerics

        return begin_numerics(choose_device(self._device), self._threads, self._deterministic)

    @property
    def device_name(self) -> str:
        """The device's name for records."""
        return "cpu" if self._device == "cpu" else self.begun.device_name

    def notes(self, precisions: Collection[str]) -> list[str]:
        """Return what a person should know of how the precisions of runs to do are computed."""
        return self.begun.notes(precisions) if precisions else []
