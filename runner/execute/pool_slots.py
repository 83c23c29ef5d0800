"""Places for the workers of a pool, and how many of those on one device there is memory for."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from runner.core.stages import Stage
from runner.execute.listener import Listener
from runner.execute.pool_worker import Limits, Verdict


@dataclass(eq=False)
class Slot:
    """A place for a worker, and who has it.

    Attributes:
        device: of the place.
        process: the worker.
        pipe: to it.
        plan: number of the plan that it was started with.
        at_work: the stages that it does, by key.
        is_done: once it has gone through the present plan: whether all has ended.
        replaced: how often it has died since one has gone through a plan.
    """

    device: str | None
    process: multiprocessing.process.BaseProcess | None = None
    pipe: Connection[Any, Any] | None = None
    plan: int = 0
    at_work: dict[str, Stage] = field(default_factory=dict)
    is_done: bool | None = None
    replaced: int = 0


class Room:
    """How many workers of a device may be at once while a stage is done that had too little memory.

    It only becomes fewer.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._slots = slots
        self._most: dict[str | None, dict[str, int]] = {slot.device: {} for slot in slots}

    def lower(self, slot: Slot, stage_key: str, listener: Listener) -> None:
        """Let fewer work on a device beside a stage, and tell its worker what becomes of it."""
        assert slot.pipe is not None
        stage = slot.at_work[stage_key]
        busy = [each for each in self._slots if each.device == slot.device and each.at_work]
        if len(busy) > 1:
            most = self._most[slot.device]
            most[stage.cost_key] = fewer = lowered(most.get(stage.cost_key), len(busy))
            device = "" if slot.device is None else f" on {slot.device}"
            several = "worker at a time" if fewer == 1 else "workers at once"
            note = f"{len(busy)} workers do not fit{device}: such a stage is done by"
            listener.on_note(f"{note} {fewer} {several}")
            self.tell_limits(slot.device)
        with suppress(OSError):
            slot.pipe.send(Verdict(len(busy) > 1))

    def tell_limits(self, device: str | None) -> None:
        """Tell the workers on a device how many may be at once, where there is any limit."""
        mine = [slot for slot in self._slots if slot.device == device and slot.pipe is not None]
        if self._most[device]:
            pids = frozenset(slot.process.pid or 0 for slot in mine if slot.process is not None)
            for slot in mine:
                with suppress(OSError):
                    assert slot.pipe is not None
                    slot.pipe.send(Limits(dict(self._most[device]), pids))


def lowered(most: int | None, busy: int) -> int:
    """Return how many workers may be at once where ``busy`` were too many, and never more again."""
    return busy - 1 if most is None else min(most, busy - 1)
