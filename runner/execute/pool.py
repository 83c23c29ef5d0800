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
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any, Self

from runner.bind.slots import slots
from runner.core.errors import Interrupted, RunnerError
from runner.execute.child import Failure
from runner.execute.deaths import MOST_REPLACED, Deaths, claims_of_child, how_it_died
from runner.execute.local import execute_locally
from runner.execute.plan_execution import PlanExecution
from runner.execute.pool_news import PoolNews
from runner.execute.pool_slots import Room, Slot
from runner.execute.pool_worker import (
    PoolWork,
    Stops,
    Through,
    TooMany,
    on_device,
    work_in_pool,
)
from runner.execute.spawning import Flag, started
from runner.store.attempts_seen import newest_attempt_id

POLL_SECONDS = 0.1
LOOK_SECONDS = 1.0
"""How often it is asked whether more is wanted, while a worker has nothing to do."""
END_SECONDS = 60.0
"""How long the others may take to stop after an error of one, before they are killed."""


def execute_with_workers(execution: PlanExecution) -> bool:
    """Carry a plan out by several processes; see :meth:`Pool.go`."""
    if execution.workers is not None:
        return execution.workers.go(execution)
    with Pool() as pool:
        return pool.go(execution)


class Pool:
    """The workers of one command, from plan to plan, and what was learnt of them.

    What a worker does of an earlier plan goes on beside the next: it ends after its stage, and
    another begins in its place, with the plan of then.
    """

    _execution: PlanExecution
    _deaths: Deaths
    _room: Room
    _since: int
    _stops: Stops

    def __init__(self) -> None:
        """Begin without any: what they need is made for the first plan with a stage."""
        self._spawning = multiprocessing.get_context("spawn")
        self._slots: list[Slot] = []
        self._plan = 0
        self._flags: list[Flag] = []
        self._looked = 0.0
        self._news = PoolNews()
        self._error: RunnerError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End those that are left: at a checkpoint where an error came between two plans."""
        try:
            if isinstance(error, Exception) and self._error is None and self.is_at_work:
                self._stops.now.set()
                limit = None if isinstance(error, Interrupted) else END_SECONDS
                self._let_end(limit)
        finally:
            self._kill()

    @property
    def is_at_work(self) -> bool:
        """Whether any worker is there."""
        return any(slot.pipe is not None for slot in self._slots)

    def go(self, execution: PlanExecution) -> bool:
        """Start workers for a plan, in free places, and hear of all until all have ended.

        Returns:
            Whether every stage has ended; if not, the rest is to be planned anew. Some may be at
            work still, where a place is free.

        Raises:
            Interrupted: when asked to stop; what is finished is recorded.
            RunnerError: the first that ended a worker, or when too many have died.
        """
        self._execution = execution
        if execution.plan.stages and not self._slots:
            self._slots = [Slot(device) for device in slots(execution.setup.request)]
            self._room, self._deaths = Room(self._slots), Deaths(execution.database)
            self._since = newest_attempt_id(execution.database)
            self._stops = Stops(Flag(self._spawning), Flag(self._spawning))
        if self._slots:
            self._begin(execution)
        if not execution.plan.stages:
            return execute_locally(execution)
        self._fill()
        return self._go_on()

    def attend(self, is_outdated: Callable[[], bool] = lambda: False) -> None:
        """Hear of those that are left of earlier plans until all have ended, or more is wanted.

        Raises:
            Interrupted: when asked to stop.
            RunnerError: as of :meth:`go`.
        """
        self._execution = replace(self._execution, is_outdated=is_outdated)
        self._go_on()

    def _begin(self, execution: PlanExecution) -> None:
        self._plan += 1
        # all are kept: workers go on to read the memory of one that would be dropped
        self._flags.append(Flag(self._spawning))
        self._stops = Stops(self._stops.now, self._flags[-1])
        self._looked = time.monotonic()
        at_work = {key: stage for slot in self._slots for key, stage in slot.at_work.items()}
        self._news.begin(execution.plan, execution.listener, at_work if self.is_at_work else None)
        for slot in self._slots:
            slot.is_done = None

    def _fill(self) -> None:
        """Start workers in places that had none for this plan, while there may be stages left."""
        if self._stops.now.is_set() or self._execution.should_stop() or self._error is not None:
            return
        left = self._news.left_over
        working = [
            slot
            for slot in self._slots
            if slot.pipe and (slot.plan == self._plan or not left.isdisjoint(slot.at_work))
        ]
        free = [slot for slot in self._slots if slot.pipe is None and slot.plan != self._plan]
        for slot in free[: max(len(left) - len(working), 0)]:
            self._start(slot)

    def _go_on(self) -> bool:
        """Hear of workers until all have ended, or the plan is outdated; see :meth:`go`."""
        failed_at = 0.0
        while self.is_at_work:
            if self._execution.should_stop() or self._error is not None:
                self._stops.now.set()
            if self._error is not None:
                failed_at = failed_at or time.monotonic()
                if time.monotonic() > failed_at + END_SECONDS:
                    break
            elif self._is_outdated():
                self._stops.next.set()
                return False
            self._listen()
            self._fill()
        if self._error is not None:
            raise self._error
        is_done = any(slot.is_done for slot in self._slots)
        if self._execution.should_stop() and not is_done:
            raise Interrupted("stopped; what its workers have begun goes on from checkpoints")
        return is_done

    def _is_outdated(self) -> bool:
        """Return whether some have nothing to do, and more is wanted or what is left is other."""
        now = time.monotonic()
        if now < self._looked + LOOK_SECONDS or all(slot.at_work for slot in self._slots):
            return False
        self._looked = now
        if self._stops.now.is_set():
            return False
        return any(slot.is_done is False for slot in self._slots) or self._execution.is_outdated()

    def _let_end(self, limit: float | None) -> None:
        """Hear of workers until all have ended, for so many seconds at most."""
        began = time.monotonic()
        while self.is_at_work and (limit is None or time.monotonic() < began + limit):
            self._listen()

    def _kill(self) -> None:
        for slot in self._slots:
            if slot.process is not None:
                slot.process.kill()
                slot.process.join()
            if slot.pipe is not None:
                slot.pipe.close()
            slot.process = slot.pipe = None

    def _start(self, slot: Slot) -> None:
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
        slot.plan = self._plan
        with started(self._spawning, work_in_pool, *args) as process:
            slot.process, slot.pipe = process, pipe
        theirs.close()
        self._room.tell_limits(slot.device)

    def _listen(self) -> None:
        """Take what workers tell within a moment."""
        working = [slot for slot in self._slots if slot.pipe is not None]
        for pipe in wait([slot.pipe for slot in working if slot.pipe], POLL_SECONDS):
            self._hear(next(slot for slot in working if slot.pipe is pipe))

    def _hear(self, slot: Slot) -> None:
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
            slot.replaced = 0
            if slot.plan == self._plan:
                slot.is_done = told.is_done
        elif isinstance(told, TooMany):
            self._room.lower(slot, told.stage_key, self._execution.listener)
        else:
            self._news.told(slot.at_work, *told)

    def _failed(self, error: RunnerError) -> None:
        """Note what ended a worker: it ends all; that they were asked to stop is no error."""
        if self._error is None and not isinstance(error, Interrupted):
            self._error = error

    def _ended(self, slot: Slot) -> None:
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
        if not self._news.left_over:
            return
        slot.replaced += 1
        if slot.replaced > MOST_REPLACED:
            self._failed(RunnerError(f"a worker {how}, as {MOST_REPLACED} before it"))
            return
        self._execution.listener.on_note(f"a worker {how}; another takes its place")
        self._start(slot)

    def _note_deaths(self, slot: Slot, pid: int, how: str) -> None:
        """Leave what a dead worker did to the others; a stage that kills each has failed."""
        self._deaths.note(list(slot.at_work), claims_of_child(self._execution.database, pid), how)
        self._news.left(slot.at_work)
