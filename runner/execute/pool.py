"""The executor `workers`: several processes on one machine, each of which goes through the plan.

A worker claims stages until none is left; this only starts workers, one a slot, replaces those that
die, and makes one program of them: progress, stopping and errors are told as by one process.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from runner.bind.slots import slots
from runner.core.errors import Interrupted, RunnerError
from runner.core.stages import Stage
from runner.execute.child import Failure
from runner.execute.deaths import MOST_REPLACED, Deaths, claims_of_child, how_it_died
from runner.execute.local import execute_locally
from runner.execute.plan_execution import PlanExecution
from runner.execute.pool_news import PoolNews
from runner.execute.pool_worker import (
    Limits,
    PoolWork,
    Stops,
    Through,
    TooMany,
    Verdict,
    on_device,
    work_in_pool,
)
from runner.execute.spawning import Flag, started
from runner.store.running import seconds_now

POLL_SECONDS = 0.1
END_SECONDS = 60.0
"""How long the others may take to stop after an error of one, before they are killed."""


def execute_with_workers(execution: PlanExecution) -> bool:
    """Carry a plan out by several processes; see :meth:`Coordinator.go`."""
    if not execution.plan.stages:
        return execute_locally(execution)
    pool = Pool(execution)
    try:
        return pool.go()
    finally:
        pool.close()


@dataclass(eq=False)
class _Slot:
    """A place for a worker, and who has it.

    Attributes:
        device: of the place.
        process: the worker.
        pipe: to it.
        at_work: the stages that it does, by key.
        is_done: once it has gone through the plan: whether all has ended.
        replaced: how often it has died.
    """

    device: str | None
    process: multiprocessing.process.BaseProcess | None = None
    pipe: Connection[Any, Any] | None = None
    at_work: dict[str, Stage] = field(default_factory=dict)
    is_done: bool | None = None
    replaced: int = 0


class Pool:
    """The workers of one plan."""

    def __init__(self, execution: PlanExecution) -> None:
        self._execution = execution
        self._spawning = multiprocessing.get_context("spawn")
        self._stops = Stops(Flag(self._spawning), Flag(self._spawning))
        devices = slots(execution.setup.request)
        self._slots = [_Slot(device) for device in devices[: len(execution.plan.stages)]]
        self._news = PoolNews(execution.plan, execution.listener)
        self._deaths = Deaths(execution.database)
        self._since = seconds_now(execution.database)
        self._most: dict[str | None, dict[str, int]] = {device: {} for device in devices}
        self._error: RunnerError | None = None

    def go(self) -> bool:
        """Start the workers and hear of them until all have ended.

        Raises:
            Interrupted: when asked to stop; what is finished is recorded.
            RunnerError: the first that ended a worker, or when too many have died.
        """
        for slot in self._slots:
            self._start(slot)
        failed_at = 0.0
        while working := [slot for slot in self._slots if slot.pipe is not None]:
            if self._execution.should_stop() or self._error is not None:
                self._stops.now.set()
            if self._error is not None:
                failed_at = failed_at or time.monotonic()
                if time.monotonic() > failed_at + END_SECONDS:
                    break
            if len(working) < len(self._slots) and self._execution.is_outdated():
                self._stops.next.set()  # some have nothing to do, and more is wanted
            for pipe in wait([slot.pipe for slot in working if slot.pipe], POLL_SECONDS):
                self._hear(next(slot for slot in working if slot.pipe is pipe))
        if self._error is not None:
            raise self._error
        is_done = any(slot.is_done for slot in self._slots)
        if self._execution.should_stop() and not is_done:
            raise Interrupted("stopped; what its workers have begun goes on from checkpoints")
        return is_done

    def close(self) -> None:
        """End those that are left, at once."""
        for slot in self._slots:
            if slot.process is not None:
                slot.process.kill()
                slot.process.join()
            if slot.pipe is not None:
                slot.pipe.close()

    def _start(self, slot: _Slot) -> None:
        execution, setup = self._execution, self._execution.setup
        work = PoolWork(
            on_device(setup, slot.device),
            execution.plan,
            execution.facts,
            execution.reruns,
            execution.shares_epochs,
            execution.failures,
            self._since,
        )
        pipe, theirs = self._spawning.Pipe()
        args = (pickle.dumps(work), setup.code, theirs, self._stops, os.getpid())
        with started(self._spawning, work_in_pool, *args) as process:
            slot.process, slot.pipe = process, pipe
        theirs.close()
        self._tell_limits(slot.device)

    def _hear(self, slot: _Slot) -> None:
        """Take what a worker tells, or note that it has ended."""
        assert slot.pipe is not None
        try:
            told: Any = slot.pipe.recv()
        except (EOFError, OSError):
            self._ended(slot)
            return
        if isinstance(told, Failure):
            self._news.left(slot.at_work)
            self._failed(told.raised())
        elif isinstance(told, Through):
            slot.is_done = told.is_done
        elif isinstance(told, TooMany):
            self._lower(slot, told.stage_key)
        else:
            self._news.told(slot.at_work, *told)

    def _failed(self, error: RunnerError) -> None:
        """Note what ended a worker: it ends all; that they were asked to stop is no error."""
        if self._error is None and not isinstance(error, Interrupted):
            self._error = error

    def _ended(self, slot: _Slot) -> None:
        """Note that a worker has gone; one that was not through has died, and is replaced."""
        assert slot.process is not None
        assert slot.pipe is not None
        slot.process.join()
        slot.pipe.close()
        code, pid = slot.process.exitcode or 0, slot.process.pid or 0
        slot.process = slot.pipe = None
        if code == 0 and not slot.at_work:
            return
        how = how_it_died(code)
        if code == -signal.SIGKILL:
            how += "; the system does that when memory runs out"
        self._note_deaths(slot, pid, how)
        if self._stops.now.is_set() or self._execution.should_stop():
            return
        slot.replaced += 1
        if slot.replaced > MOST_REPLACED:
            self._failed(RunnerError(f"a worker {how}, as {MOST_REPLACED} before it"))
            return
        self._execution.listener.on_note(f"a worker {how}; another takes its place")
        self._start(slot)

    def _note_deaths(self, slot: _Slot, pid: int, how: str) -> None:
        """Leave what a dead worker did to the others; a stage that kills each has failed."""
        self._deaths.note(list(slot.at_work), claims_of_child(self._execution.database, pid), how)
        self._news.left(slot.at_work)

    def _lower(self, slot: _Slot, stage_key: str) -> None:
        """Let fewer work on a device while a stage that had too little memory is done there."""
        assert slot.pipe is not None
        stage = slot.at_work[stage_key]
        busy = [each for each in self._slots if each.device == slot.device and each.at_work]
        if len(busy) > 1:
            most = self._most[slot.device]
            most[stage.cost_key] = fewer = lowered(most.get(stage.cost_key), len(busy))
            device = "" if slot.device is None else f" on {slot.device}"
            several = "worker at a time" if fewer == 1 else "workers at once"
            note = f"{len(busy)} workers do not fit{device}: such a stage is done by"
            self._execution.listener.on_note(f"{note} {fewer} {several}")
            self._tell_limits(slot.device)
        with suppress(OSError):
            slot.pipe.send(Verdict(len(busy) > 1))

    def _tell_limits(self, device: str | None) -> None:
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
