"""The executor `process`: every stage is done in a child process, which gets plain values only.

The child opens database, device and data for itself. A child that dies (killed by the system when
memory runs out, say) fails the stage that it did; of trainings done together it fails none, and
they are tried again, fewer at a time. The next stage gets a new child.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import runner.core.errors as errors
from runner.components.own.permission import allow_code
from runner.core.errors import Interrupted, RunnerError
from runner.core.records import AttemptStatus
from runner.core.stages import Stage
from runner.execute.coordinator import Coordinator
from runner.execute.deaths import claims_of_child, how_it_died
from runner.execute.listener import NullListener
from runner.execute.plan_execution import PlanExecution, StageTask, WorkerSetup
from runner.execute.recording import close_attempt
from runner.execute.spawning import Flag, leave_signals_to_parent, started
from runner.execute.stage_worker import Answer, Ended, NotTogether, StageResult

if TYPE_CHECKING:
    from runner.engine.context import Progress

POLL_SECONDS = 0.1
END_SECONDS = 60.0
"""How long a child may take to end, and to write what stages have left, before it is killed."""


def execute_in_child(execution: PlanExecution) -> bool:
    """Carry a plan out, every stage in a child process; see :meth:`Coordinator.go`."""
    with ChildWorker(execution) as worker:
        return Coordinator(execution, worker).go()


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of the child, by the name of its class in ``core.errors``."""

    name: str
    message: str
    parts: Mapping[str, Any]

    @classmethod
    def of(cls, error: RunnerError) -> Failure:
        """Return an error as plain values."""
        return cls(type(error).__name__, str(error), dict(error.__dict__))

    def raised(self) -> RunnerError:
        """Return the error; one of another kind as a plain one."""
        kind = getattr(errors, self.name, RunnerError)
        error: RunnerError = kind.__new__(kind)
        error.args = (self.message,)
        error.__dict__ |= self.parts
        return error


@dataclass(frozen=True, slots=True)
class _Answered:
    """What became of one of the stages that a child does."""

    stage_key: str
    answer: Answer


class _Finished:
    """Told by a child that has done its stages, or has nothing more to write."""


class _ChildGone(Exception):
    """The child has died; errors of the parent's own are others."""


class ChildWorker:
    """Does stages in a child process, started with the first one."""

    def __init__(self, execution: PlanExecution) -> None:
        self._execution, self._database = execution, execution.database
        self._listener, self._should_stop = execution.listener, execution.should_stop
        self._child: multiprocessing.process.BaseProcess | None = None
        self._released: list[str] = []  # since the plan began: a new child begins with all of them
        self._told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the child: politely when all is done, at once after an error."""
        if self._child is None:
            return
        if error is None or isinstance(error, Interrupted):
            if error is not None:
                self._stop.set()  # it waits no longer than that leaves time for
            with suppress(OSError):
                self._pipe.send(None)
            self._child.join(END_SECONDS)
        self._child.kill()
        self._child.join()
        self._pipe.close()

    def _start(self) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawning.Pipe()
        self._stop = Flag(spawning)
        args = (self._execution.setup, theirs, self._stop, os.getpid())
        with started(spawning, _serve, *args) as child:
            self._child = child
        theirs.close()
        self._told = 0

    def release(self, artifacts: Sequence[str]) -> None:
        """Note that one stage fewer needs these artifacts."""
        self._released += artifacts

    def do(self, tasks: Sequence[StageTask], ended: Ended) -> None:
        """See :meth:`StageWorker.do`."""
        if self._child is None:
            self._start()
        started = time.perf_counter()
        left = {task.stage.key: task.stage for task in tasks}
        try:
            self._send((tuple(tasks), self._released[self._told :]))
            self._told = len(self._released)
            self._listen(left, ended)
        except _ChildGone:
            self._died(list(left.values()), time.perf_counter() - started, ended)

    def finish(self) -> None:
        """Wait until all that stages left is on the disk; a child that dies has kept less."""
        if self._child is None:
            return
        with suppress(_ChildGone):
            self._send(((), []))
            while not isinstance(told := self._receive(), _Finished):
                if self._should_stop():
                    self._stop.set()
                if isinstance(told, Failure):
                    raise told.raised()
                if told is not None:
                    _, _, values = told
                    self._listener.on_note(*values)

    def _send(self, asked: tuple[tuple[StageTask, ...], list[str]]) -> None:
        try:
            self._pipe.send(asked)
        except OSError:
            raise _ChildGone from None

    def _receive(self) -> Any | None:
        """Return what the child tells, None where it tells nothing for a moment."""
        try:
            return self._pipe.recv() if self._pipe.poll(POLL_SECONDS) else None
        except (EOFError, OSError):
            raise _ChildGone from None

    def _listen(self, left: dict[str, Stage], ended: Ended) -> None:
        """Pass on what the child tells; ``left`` loses what has ended, until the child is done."""
        stages = dict(left)
        while True:
            if self._should_stop():
                self._stop.set()
            told: Any = self._receive()
            if isinstance(told, Failure):
                raise told.raised()
            if isinstance(told, _Finished):
                return
            if isinstance(told, _Answered):
                ended(left.pop(told.stage_key), told.answer)
            elif told is not None:
                name, stage_key, values = told
                if name == "on_note":
                    self._listener.on_note(*values)
                else:
                    getattr(self._listener, name)(stages[stage_key], *values)

    def _died(self, stages: Sequence[Stage], seconds: float, ended: Ended) -> None:
        """Record that the child died, as a failure of the stage that it did.

        Of several that it did together nobody knows which it was, or whether they were too many:
        they are tried again, fewer at a time.

        Raises:
            Interrupted: when asked to stop: what ends all may end it, so that no stage has failed.
            RunnerError: when it died before it began, as every other would.
        """
        assert self._child is not None
        self._child.join()
        code, pid = self._child.exitcode or 0, self._child.pid or 0
        self._child = None
        self._pipe.close()
        if not stages:
            return
        how = how_it_died(code)
        left = {claim.stage_key: claim for claim in claims_of_child(self._database, pid)}
        claims = [(stage, left[stage.key]) for stage in stages if stage.key in left]
        is_stopped = self._should_stop()
        if not claims and not is_stopped:
            raise RunnerError(f"the process that does the stages {how} before it did one")
        message = f"the process that did this stage {how}"
        if code == -signal.SIGKILL:
            message += "; the system does that when memory runs out"
        status: AttemptStatus = "failed" if len(claims) == 1 and not is_stopped else "lost"
        for stage, claim in claims:
            close_attempt(self._database, claim, status, seconds / len(claims), message)
            if is_stopped:
                continue
            is_alone = len(claims) == 1
            result = StageResult("failed", seconds, message, {})
            ended(stage, result if is_alone else NotTogether(message))
        if is_stopped:
            raise Interrupted(f"stopped; the process that does the stages {how}")


class Telling(NullListener):
    """Sends what a worker tells to the parent; one that is gone is told nothing.

    The stage is then stopped, not failed: the worker asks whether to stop after every step.
    """

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe = pipe

    def on_stage_start(self, stage: Stage) -> None:
        """Tell it."""
        self._tell(("on_stage_start", stage.key, ()))

    def on_stage_progress(self, stage: Stage, progress: Progress) -> None:
        """Tell it, unless the parent does not listen just now: work goes on all the same."""
        with suppress(OSError, ValueError):
            if select.select([], [self._pipe], [], 0)[1]:
                self._tell(("on_stage_progress", stage.key, (progress,)))

    def on_note(self, note: str) -> None:
        """Tell it."""
        self._tell(("on_note", "", (note,)))

    def ended(self, stage: Stage, answer: Answer) -> None:
        """Tell what became of a stage."""
        self._tell(_Answered(stage.key, answer))

    def _tell(self, told: object) -> None:
        with suppress(OSError):
            self._pipe.send(told)


def _serve(setup: WorkerSetup, pipe: Connection[Any, Any], stop: Flag, parent: int) -> None:
    """Do one stage after another, until the parent ends it, or is gone.

    Ctrl-C is the parent's: it asks to stop. So are the signals that a scheduler sends to both.
    """
    leave_signals_to_parent()
    from runner.execute.worker import Worker

    def should_stop() -> bool:
        return stop.is_set() or os.getppid() != parent

    parents = Telling(pipe)
    with suppress(EOFError, BrokenPipeError):
        try:
            with allow_code(*setup.code), Worker(setup, parents, should_stop) as worker:
                while (asked := pipe.recv()) is not None:
                    tasks, released = asked
                    worker.release(released)
                    if tasks:
                        worker.do(tasks, parents.ended)
                    else:
                        worker.finish()
                    pipe.send(_Finished())
        except RunnerError as error:
            pipe.send(Failure.of(error))
