"""The executor `ray`: workers as actors of a Ray cluster, one a slot.

The only module that imports ray. It finds or starts a cluster, checks that it has room and reaches
the database, starts actors and replaces those that die. What they do is `remote_worker`'s business,
and is told from the database; into Ray goes what they are asked, as plain values, and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

import runner
from runner.artifacts.process import Process
from runner.components.own.permission import permission
from runner.core.errors import Interrupted, RunnerError
from runner.execute.database_news import DatabaseNews
from runner.execute.deaths import MOST_REPLACED, Deaths
from runner.execute.local import execute_locally
from runner.execute.plan_execution import PlanExecution
from runner.execute.ray_nodes import Share, check_reach, is_here, resources_in_words, room_for
from runner.execute.remote_worker import RemoteWorker, asked_of_worker, mark_in, raise_answer
from runner.store.claims import claims_by_process
from runner.store.results import record_result

ADDRESS_VARIABLE = "RAY_ADDRESS"
POLL_SECONDS = 0.2
LOOK_SECONDS = 0.5
START_SECONDS = 120.0
"""How long a cluster that has room may take to start a first worker."""
END_SECONDS = 60.0
"""How long workers may take to stop at a checkpoint, before they are killed."""
DIED = "has died"
THREADS = 4
"""Of an actor: for its work, its notes, a request to stop, and one to spare."""


def execute_with_ray(execution: PlanExecution) -> bool:
    """Carry a plan out by actors of a Ray cluster; see :meth:`Coordinator.go`.

    Raises:
        UsageError: when the cluster has no room for a worker, or does not reach the database.
        Interrupted: when asked to stop; what is finished is recorded.
        RunnerError: what ended a worker, or when too many have died.
    """
    if not execution.plan.stages:
        return execute_locally(execution)
    request = execution.setup.request
    with _joined(execution) as nodes, contextlib.ExitStack() as stack:
        share = Share.of(request, nodes)
        room = room_for(share, nodes)
        check_reach(execution.workspace, nodes)
        number = min(request.workers or room, len(execution.plan.stages))
        if number > room:
            note = f"the Ray cluster has room for {room} of {number} workers; the others wait"
            execution.listener.on_note(note)
        elsewhere = not all(map(is_here, nodes)) and not execution.workspace.address
        mark = stack.enter_context(mark_in(execution.workspace.folder)) if elsewhere else ""
        asked = asked_of_worker(execution, permission().paths, share, mark)
        news = DatabaseNews(execution)
        actors = _Actors(execution, news, share, asked)
        try:
            actors.go(number)
        finally:
            actors.close()
        return news.settle()


@contextlib.contextmanager
def _joined(execution: PlanExecution) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Be part of a cluster, one that is there or one that is started; yield its nodes.

    Actors import what lies beside this package, not what lies in the current folder. That Ray
    takes SIGTERM for itself is undone.
    """
    mine = not ray.is_initialized()
    if mine:
        in_main = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGTERM) if in_main else None
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        with contextlib.chdir(Path(runner.__file__).parents[1]):
            _join_or_start(execution)
        if in_main:
            signal.signal(signal.SIGTERM, before)
    try:
        yield [node for node in ray.nodes() if node["Alive"]]
    finally:
        if mine:
            ray.shutdown()


def _join_or_start(execution: PlanExecution) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        ray.init(address="auto", **quiet)
    except ConnectionError as error:
        address = os.environ.get(ADDRESS_VARIABLE)
        if address:
            found = f"there is no Ray cluster at {address}, which {ADDRESS_VARIABLE} names"
            raise RunnerError(found, hint="start it, or unset the variable") from error
        request = execution.setup.request
        threads = request.threads or 1
        cores = max(os.cpu_count() or 1, (request.workers or 1) * threads)
        ray.init(
            address="local",
            num_cpus=cores,
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            **quiet,
        )


@dataclass(eq=False)
class _Slot:
    """A worker of the cluster.

    Attributes:
        actor: of Ray.
        work: what it will answer.
        begun: will say which process it is.
        notes: what it will tell next, None where nobody asks it.
        who: which process it is, once it has begun.
        replaced: how often it has died since a stage has ended.
    """

    actor: Any
    work: Any
    begun: Any
    notes: Any
    who: Process | None = None
    replaced: int = 0


class _Actors:
    """The workers of one plan."""

    def __init__(
        self, execution: PlanExecution, news: DatabaseNews, share: Share, asked: Mapping[str, Any]
    ) -> None:
        self._execution, self._news, self._asked = execution, news, dict(asked)
        self._kind = ray.remote(RemoteWorker).options(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            max_concurrency=THREADS,
            max_restarts=0,
            scheduling_strategy="SPREAD",
        )
        self._slots: list[_Slot] = []
        self._has_ended = False  # whether a worker has found nothing left
        self._began = time.monotonic()
        self._ends = 0
        self._deaths = Deaths(execution.database)

    def go(self, number: int) -> None:
        """Start workers and watch them until all have ended.

        Raises:
            Interrupted: when asked to stop; what is finished is recorded.
            RunnerError: what ended a worker, or when too many have died.
        """
        self._slots = [self._started() for _ in range(number)]
        looked = stopped = 0.0
        while self._slots:
            if self._execution.should_stop() and not stopped:
                stopped = time.monotonic()
                for slot in self._slots:
                    slot.actor.stop.remote()
            self._hear(is_stopping=bool(stopped))
            if time.monotonic() > looked + LOOK_SECONDS:
                looked = time.monotonic()
                self._news.look()
            self._check_begun()
            if stopped and time.monotonic() > stopped + END_SECONDS:
                break
        if stopped:
            raise Interrupted("stopped; what its workers have begun goes on from checkpoints")

    def close(self) -> None:
        """End those that are left, at once."""
        for slot in self._slots:
            ray.kill(slot.actor)

    def _started(self) -> _Slot:
        actor = self._kind.remote()
        work = actor.work.remote(self._asked)
        return _Slot(actor, work, actor.who.remote(), actor.notes.remote())

    def _hear(self, is_stopping: bool) -> None:
        """Take what workers have told meanwhile."""
        asked = [ref for slot in self._slots for ref in (slot.work, slot.begun, slot.notes)]
        refs = [ref for ref in asked if ref is not None]
        told, _ = ray.wait(refs, num_returns=len(refs), timeout=POLL_SECONDS)
        for slot in list(self._slots):
            if slot.begun in told:
                who, slot.begun = _answer(slot.begun), None
                slot.who = None if who is None else Process(**who)
            if slot.notes in told:
                is_there = self._take_notes(slot)
                slot.notes = slot.actor.notes.remote() if is_there else None
            if slot.work in told:
                self._slots.remove(slot)
                self._ended(slot, is_stopping)

    def _take_notes(self, slot: _Slot) -> bool:
        """Tell its notes; return whether it is there to tell any."""
        notes = _answer(slot.notes)
        for note in notes or ():
            self._news.on_note(note)
        return notes is not None

    def _ended(self, slot: _Slot, is_stopping: bool) -> None:
        """Note that a worker has ended; one that has died is replaced.

        Raises:
            RunnerError: what ended it, or when too many have died.
        """
        try:
            answer = ray.get(slot.work)
        except ray.exceptions.RayTaskError as error:
            raise RunnerError(f"an error ended a worker:\n{error}") from error
        except ray.exceptions.RayError as error:
            if not is_stopping:
                self._replace(slot, error)
            return
        if slot.notes is not None and self._take_notes(slot):
            slot.notes = slot.actor.notes.remote()  # what it has told since
            self._take_notes(slot)
        raise_answer(answer)
        self._has_ended = True

    def _replace(self, slot: _Slot, error: Exception) -> None:
        if self._news.ends > self._ends:
            self._ends, slot.replaced = self._news.ends, 0
        if slot.replaced >= MOST_REPLACED:
            found = f"a worker {_how(error)}, as {MOST_REPLACED} before it:\n{error}"
            raise RunnerError(found, hint="the same command goes on")
        self._news.on_note(f"a worker {_how(error)}; another is started")
        if _how(error) == DIED and slot.who is not None:
            self._note_death(slot.who)
        ray.kill(slot.actor)  # one that only cannot be reached is not to come back
        new = self._started()
        new.replaced = slot.replaced + 1
        self._slots.append(new)

    def _note_death(self, process: Process) -> None:
        """Note what it did; the runs of a stage that has failed end, lest others begin it anew."""
        execution = self._execution
        self._news.look()
        claims = claims_by_process(execution.database).get(process, [])
        failed = self._deaths.note(self._news.left_by(process), claims, DIED)
        for run, chain in execution.plan.stages_by_run.items():
            if not set(failed).isdisjoint(chain):
                record_result(execution.database, run, execution.reruns[run])

    def _check_begun(self) -> None:
        """Do without those that wait for room when nothing is left, and do not wait for ever.

        Raises:
            RunnerError: when no worker has been started for long.
        """
        if any(slot.who is not None for slot in self._slots):
            self._began = time.monotonic()
            return
        if self._has_ended:
            self.close()
            self._slots.clear()
        elif time.monotonic() > self._began + START_SECONDS:
            free = resources_in_words(ray.available_resources())
            found = f"no worker was started in {START_SECONDS:.0f} s: the cluster has {free} free"
            raise RunnerError(found, hint="others may hold the rest: see `ray status`")


def _answer(ref: Any) -> Any:
    """Return what an actor has answered, None where it has died: its work says why."""
    try:
        return ray.get(ref)
    except ray.exceptions.RayError:
        return None


def _how(error: Exception) -> str:
    """Return in what way an actor was lost."""
    text = str(error).lower()
    if isinstance(error, ray.exceptions.ActorUnavailableError):
        return "cannot be reached any more"
    return "has died with its node" if "its node" in text else DIED
