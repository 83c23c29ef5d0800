"""A worker of a pool: a process that goes through a plan by itself, and tells its parent.

It gets plain values only, and opens database, device and data for itself. Claims say which stages
are its own; the parent starts it, hears of it, and can ask it to stop.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

from runner.artifacts.process import Process
from runner.components.own.permission import allow_code
from runner.core.errors import RunnerError
from runner.core.plan import Facts, Plan
from runner.core.stages import Stage
from runner.execute.child import Failure, Telling
from runner.execute.local import execute_locally
from runner.execute.plan_execution import PlanExecution, WorkerSetup
from runner.execute.spawning import Flag, leave_signals_to_parent
from runner.store.claims import InTheWay
from runner.store.crowding import Crowded


@dataclass(frozen=True, slots=True)
class PoolWork:
    """What a worker of a pool is given; can be pickled.

    Attributes:
        setup: what it needs for all stages.
        plan: all of it.
        facts: what was known when planning.
        reruns: which repetition of each run is wanted.
        shares_epochs: as of a `PlanExecution`.
        failures: likewise.
        since: likewise.
    """

    setup: WorkerSetup
    plan: Plan
    facts: Facts
    reruns: Mapping[str, int]
    shares_epochs: bool
    failures: Mapping[str, int]
    since: int


@dataclass(frozen=True, slots=True)
class Through:
    """Told by a worker that has gone through the plan.

    Attributes:
        is_done: whether every stage has ended; if not, the rest is to be planned anew.
    """

    is_done: bool


@dataclass(frozen=True, slots=True)
class TooMany:
    """Told by a worker whose stage had too little memory; the parent answers with `Verdict`."""

    stage_key: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a stage that had too little memory is tried again."""

    is_tried_again: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """Told to all workers of a device.

    Attributes:
        most: workers that may be at work while a stage of a cost key is.
        pids: of the workers.
    """

    most: Mapping[str, int]
    pids: frozenset[int]


class _TellingAll(Telling):
    """Tells the parent also how stages and runs end, since that is found out here."""

    def on_stage_left(self, stage: Stage) -> None:
        self._tell(("on_stage_left", stage.key, ()))

    def on_stage_end(self, stage: Stage, status: str, seconds: float, message: str) -> None:
        self._tell(("on_stage_end", stage.key, (status, seconds, message)))

    def on_run_end(self, run_key: str, status: str) -> None:
        self._tell(("on_run_end", "", (run_key, status)))


class _Siblings:
    """The other workers on the device, as far as the parent has told."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe, self._limits = pipe, Limits({}, frozenset())

    def lower(self, stage: Stage) -> bool:
        """Ask the parent whether a stage that had too little memory has another chance."""
        self._pipe.send(TooMany(stage.key))
        while not isinstance(told := self._pipe.recv(), Verdict):
            self._limits = told
        return told.is_tried_again

    def in_the_way(self, stage: Stage) -> InTheWay | None:
        """Return what tells that there is no room for a stage now."""
        while self._pipe.poll():
            self._limits = self._pipe.recv()
        limits = self._limits
        return Crowded(stage.cost_key, limits.most, limits.pids) if limits.most else None


@dataclass(frozen=True, slots=True)
class Stops:
    """By which a parent asks its workers to stop.

    Attributes:
        now: after the current step.
        next: after the current stage, since the plan is to be made anew.
    """

    now: Flag
    next: Flag


def work_in_pool(
    work: bytes, code: tuple[str, ...], pipe: Connection[Any, Any], stops: Stops, parent: int
) -> None:
    """Go through a plan, until all of it has ended or the parent asks to stop, or is gone.

    Ctrl-C is the parent's: it asks to stop. So are the signals that a scheduler sends to all.

    Args:
        work: a pickled `PoolWork`.
        code: files and folders whose Python code is allowed.
        pipe: to the parent.
        stops: by which the parent asks to stop.
        parent: its process id.
    """
    leave_signals_to_parent()
    with suppress(EOFError, BrokenPipeError):
        try:
            with allow_code(*code):
                given: PoolWork = pickle.loads(work)
                pipe.send(Through(_go(given, pipe, stops, parent)))
        except RunnerError as error:
            pipe.send(Failure.of(error))


def _go(given: PoolWork, pipe: Connection[Any, Any], stops: Stops, parent: int) -> bool:
    from runner.execute.worker import FoundSources

    setup, passes = given.setup, count()
    with setup.workspace.open(create=False, check=False) as database:
        execution = PlanExecution(
            plan=given.plan,
            facts=given.facts,
            reruns=given.reruns,
            make_setup=lambda: setup,
            workspace=setup.workspace,
            database=database,
            sources=FoundSources(setup.data, setup.workspace),
            listener=_TellingAll(pipe),
            should_stop=lambda: stops.now.is_set() or os.getppid() != parent,
            shares_epochs=given.shares_epochs,
            is_outdated=lambda: next(passes) > 0 and stops.next.is_set(),  # one pass in any case
            longest_first=True,
            crowd=_Siblings(pipe),
            is_ours=lambda process: _is_child_of(process, parent),
            failures=given.failures,
            since=given.since,
        )
        return execute_locally(execution)


def _is_child_of(process: Process, parent: int) -> bool:
    import psutil

    try:
        return process.is_of_this_boot() and psutil.Process(process.pid).ppid() == parent
    except psutil.Error:
        return False


def on_device(setup: WorkerSetup, device: str | None) -> WorkerSetup:
    """Return what a worker needs to work on a device."""
    return replace(setup, request=replace(setup.request, device=device, workers=None))
