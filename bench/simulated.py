"""Workers that sleep in place of training: claims, leases, records and results are the real ones.

All are forks of one process that has planned, as each would have planned on a machine of its own;
so that sixty-four of them need two cores and little memory. A worker that dies is forked anew.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import time
from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass, replace
from multiprocessing.sharedctypes import RawArray

from measuring import BenchFailed

from runner.core.keys import content_key
from runner.core.records import EpochRecord, Metric
from runner.core.stages import Train
from runner.execute.coordinator import Coordinator
from runner.execute.heartbeat import Heartbeat
from runner.execute.plan_execution import PlanExecution, StageTask
from runner.execute.stage_worker import Ended, StageResult
from runner.store.catalogue import record_environment
from runner.store.claim_answers import Claimed
from runner.store.claims import NewAttempt, claim_stage
from runner.store.database import Database
from runner.store.recorder import end_attempt, record_epochs, record_ranges

ENVIRONMENT = {"versions": {"runner": "bench"}}
MOST_DEATHS = 20
"""Errors that end workers, for each worker, after which something is wrong with all of them."""

PATIENCE = 0.05
"""Seconds between two looks at the workers."""


def loss(key: str, epoch: int) -> float:
    """Return the made-up loss of a stage's epoch: the same whoever records it."""
    return int(content_key("loss", {"stage": key, "epoch": epoch})[:8], 16) / 2**32


class SleepingWorker:
    """Does stages by sleeping: so many seconds for each epoch.

    What it notes in ``asleep``, at its place, is since when it sleeps; 0 while it does not.
    """

    def __init__(
        self, database: Database, epoch_seconds: float, asleep: MutableSequence[float], place: int
    ) -> None:
        self._database, self._seconds = database, epoch_seconds
        self._asleep, self._place = asleep, place
        self._environment = record_environment(database, ENVIRONMENT)

    def do(self, tasks: Sequence[StageTask], ended: Ended) -> None:
        """See :class:`runner.execute.stage_worker.StageWorker`."""
        for task in tasks:
            attempt = NewAttempt(self._environment, {}, "simulated", task.predicted)
            claim = claim_stage(
                self._database,
                task.stage.key,
                attempt,
                again=task.again,
                failures=task.failures,
                in_the_way=task.in_the_way,
            )
            if not isinstance(claim, Claimed):
                ended(task.stage, claim)
                continue
            assert isinstance(task.stage, Train), "only trainings are simulated"
            with Heartbeat(self._database) as heartbeat:
                heartbeat.keep(claim)
                ended(task.stage, self._slept(task.stage, claim))
                heartbeat.drop(claim)

    def _slept(self, stage: Train, claim: Claimed) -> StageResult:
        started = time.monotonic()
        reads = [[claim.attempt_id, 1, stage.last_epoch]]
        names = list(stage.readers)
        record_ranges(self._database, claim, dict.fromkeys(names, reads))
        self._asleep[self._place] = time.monotonic()
        time.sleep(self._seconds * stage.epochs)
        self._asleep[self._place] = 0.0
        epochs = range(1, stage.last_epoch + 1)
        record_epochs(self._database, claim, [_record(stage.key, epoch) for epoch in epochs])
        best = min(epochs, key=lambda epoch: loss(stage.key, epoch))
        mine = {
            "status": "done",
            "message": "",
            "reads": reads,
            "best_epoch": best,
            "last_epoch": stage.last_epoch,
            "parameters": 1,
        }
        outcomes = dict.fromkeys(names, mine)
        seconds = time.monotonic() - started
        end_attempt(self._database, claim, "done", seconds, {"readers": outcomes})
        return StageResult("done", seconds, "", outcomes)

    def release(self, artifacts: Sequence[str]) -> None:
        """Nothing is held."""

    def finish(self) -> None:
        """Nothing is on its way to the disk."""


def _record(key: str, epoch: int) -> EpochRecord:
    value = loss(key, epoch)
    metrics = (Metric(epoch, "train", "loss", value), Metric(epoch, "val", "loss", value))
    return EpochRecord(epoch, metrics, (value,), 0.1, 1.0)


@dataclass
class Fleet:
    """Workers on a plan, and what happens to them.

    Attributes:
        workers: how many.
        epoch_seconds: that an epoch sleeps.
        kills: how many are killed, spread over the time that is left after the first second.
        incidents: what else happens, at so many moments, in order.
        killed: how many were.
        died: how many ended with an error.
        in_vain: seconds that those who were killed had slept in their last training.
        happened: how many incidents there were.
    """

    workers: int
    epoch_seconds: float
    kills: int = 0
    incidents: Sequence[Callable[[], None]] = ()
    killed: int = 0
    died: int = 0
    in_vain: float = 0.0
    happened: int = 0

    def carry_out(self, execution: PlanExecution) -> bool:
        """Let the workers do a plan; an executor."""
        trainings = [each for each in execution.plan.stages if isinstance(each, Train)]
        ideal = sum(each.epochs for each in trainings) * self.epoch_seconds / self.workers
        draw = random.Random(0)
        moments = sorted(draw.uniform(0.05, 0.9) * ideal for _ in range(self.kills))
        count = len(self.incidents)
        incidents = [
            (ideal * (number + 1) / (count + 1), each) for number, each in enumerate(self.incidents)
        ]
        execution.database.engine.dispose()
        gc.collect()
        gc.freeze()  # a collection in a worker would copy all pages of the plan
        asleep = RawArray("d", self.workers)
        began = time.monotonic()
        running = {self._forked(execution, asleep, place): place for place in range(self.workers)}
        while running:
            now = time.monotonic() - began
            while moments and moments[0] < now:
                moments.pop(0)
                pid = draw.choice(list(running))
                since = asleep[running[pid]]
                os.kill(pid, signal.SIGKILL)
                self.killed += 1
                if since:  # it may be drawn again before it is seen to have ended
                    self.in_vain += time.monotonic() - since
                    asleep[running[pid]] = 0.0
            if incidents and incidents[0][0] < now:
                incidents.pop(0)[1]()
                self.happened += 1
            time.sleep(PATIENCE)
            for pid in list(running):
                found, status = os.waitpid(pid, os.WNOHANG)
                if not found:
                    continue
                place = running.pop(pid)
                if status != 0:
                    if os.WIFEXITED(status):
                        self.died += 1
                        if self.died > MOST_DEATHS * self.workers:
                            raise BenchFailed("workers end again and again")
                    running[self._forked(execution, asleep, place)] = place
        return True

    def _forked(self, execution: PlanExecution, asleep: MutableSequence[float], place: int) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            execution.database.engine.dispose(close=False)
            with execution.workspace.open(create=False, check=False) as database:
                mine = replace(execution, database=database, is_outdated=lambda: False)
                worker = SleepingWorker(database, self.epoch_seconds, asleep, place)
                Coordinator(mine, worker).go()
            status = 0
        except BaseException as error:
            print(f"a worker ended: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(status)
