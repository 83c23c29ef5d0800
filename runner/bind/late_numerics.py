"""The numerics of this process once somebody asks for them, since they take torch.

Where all runs are finished nobody does, and a command ends before torch would be there.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property
from typing import TYPE_CHECKING

from runner.bind.slots import cores_of_each, first_device

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
        self._request, self._device = request, first_device(request)
        for name in request.devices:
            if not KNOWN.fullmatch(name):
                from runner.engine.device import choose_device

                choose_device(name)

    @cached_property
    def begun(self) -> Numerics:
        """The numerics; this process computes with them from now on.

        Raises:
            UsageError: when there is no such device here.
        """
        from runner.engine.device import choose_device
        from runner.engine.numerics import begin_numerics

        cores = cores_of_each(self._request)
        return begin_numerics(choose_device(self._device), cores, self._request.deterministic)

    @property
    def device_name(self) -> str:
        """The device's name for records."""
        return "cpu" if self._device == "cpu" else self.begun.device_name

    def notes(self, precisions: Collection[str]) -> list[str]:
        """Return what a person should know of how the precisions of runs to do are computed."""
        return self.begun.notes(precisions) if precisions else []
