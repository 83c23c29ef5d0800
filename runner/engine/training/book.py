"""What a training leaves, and in which order: epochs, checkpoints, weights, the state at its end.

Files are written beside the training. Epochs are stored before anything that speaks of them is
asked for; weights are whole before what becomes of their reader is noted; a checkpoint waits for
all that was asked for before it, by others too, so that one copy of what is trained is held at
most.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from runner.artifacts.checkpoints import share_checkpoint
from runner.artifacts.exchange import share
from runner.core.artifacts import checkpoint_name, weights_name
from runner.core.moments import reached
from runner.core.reader import kept_epochs
from runner.core.records import EpochRange, EpochRecord, Produced, as_lists, clipped
from runner.core.stages import Train
from runner.engine.context import Context
from runner.engine.job import StageJob
from runner.engine.network.build import described
from runner.engine.training.checkpoint import load_checkpoint, save_checkpoint, save_weights
from runner.engine.training.loop import Training
from runner.engine.training.resume import joined, only_on_disk, packed, with_written
from runner.engine.training.retention import is_kept, keep_state, told, with_room
from runner.engine.training.snapshot import moment_on, read_beside
from runner.engine.training.state import StartedEpoch, TrainState

FLUSH_SECONDS = 2.0

T = TypeVar("T")


class Book:
    """Epochs on their way to the database, and files on their way to the disk.

    Attributes:
        inputs: digests of what is trained on.
    """

    def __init__(
        self,
        context: Context,
        task: StageJob[Train],
        inputs: Mapping[str, str],
        before: Sequence[EpochRange],
        steps: int = 0,
    ) -> None:
        """Begin where a training begins: with epochs that were read before, and steps of the next.

        Both lie in a state, as does what is written later: the training goes on from there.
        """
        self._context, self._task, self.inputs = context, task, inputs
        self._before = before
        self._pending: list[EpochRecord] = []
        self._first: int | None = None
        self._last = 0
        self._saved = self._stopped = (before[-1].last if before else 0), steps
        self._flushed = self._saved_at = time.monotonic()
        self._writes: deque[tuple[Future[Any], Callable[[Any], None]]] = deque()
        self._settled = set(task.finished_readers)

    def reads(self) -> list[EpochRange]:
        """Return which epochs of which attempts make up the training so far."""
        if self._first is None:
            return [*self._before]
        return [*self._before, EpochRange(self._task.attempt, self._first, self._last)]

    def add(self, record: EpochRecord) -> None:
        """Take a finished epoch; store what waited long enough."""
        self._first = record.epoch if self._first is None else self._first
        self._last = record.epoch
        self._pending.append(record)
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Store all epochs that wait."""
        self._task.store_epochs(self._pending)
        reached("epochs recorded")
        self._pending = []
        self._flushed = time.monotonic()

    def look(self) -> None:
        """Note what has been written meanwhile.

        Raises:
            OSError: when something could not be.
        """
        while self._writes and self._writes[0][0].done():
            self._note_first()

    def finish(self) -> None:
        """Wait until all is written that was asked for.

        Raises:
            OSError: when something could not be.
        """
        while self._writes:
            self._note_first()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Store and write all that waits at the end of the block, also when it fails.

        Raises:
            OSError: when something could not be written.
        """
        try:
            yield
            self.flush()
            self.finish()
        except BaseException:
            try:
                self.flush()
            finally:
                while self._writes:
                    with suppress(Exception):  # the first error is the one that counts
                        self._note_first()
            raise

    def checkpoint(self, state: TrainState) -> None:
        """Write a checkpoint when enough finished epochs would be lost without one."""
        if time.monotonic() - self._saved_at >= self._context.checkpoint_seconds:
            self._checkpoint(state, None, goes_on=True)

    def stop(self, training: Training) -> None:
        """Write what a training that is stopped goes on from, within an epoch or between two.

        That saves work: what cannot be written is trained again.
        """
        try:
            started = training.started_epoch()
            self._stopped = training.state.epoch, 0 if started is None else started.steps
            if self._stopped > self._saved:
                self._checkpoint(training.state, started, goes_on=False)
            self.finish()
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
            self._context.on_note(f"where this training was stopped is not kept: {found}")

    def _checkpoint(self, state: TrainState, started: StartedEpoch | None, goes_on: bool) -> None:
        if self._task.stage.unshared.training:  # it could not go on as if nothing had happened
            return
        self.finish()
        self._context.writer.drain()
        self.flush()
        context, task = self._context, self._task
        checkpoint = packed(context, self.inputs, task, state, self.reads(), goes_on, started)
        key, steps = task.stage.key, 0 if started is None else started.steps
        folder = context.artifact_path(checkpoint_name(key, within=steps > 0))
        place, check = (state.epoch, steps), task.check_claim

        def write() -> tuple[int, int]:
            with_room(context, lambda: save_checkpoint(folder, checkpoint, check))
            reached("checkpoint whole")
            check()
            share_checkpoint(context.artifacts, key, steps > 0, check)
            return place

        self._ask(write, self._note_checkpoint)
        self._saved_at = time.monotonic()

    def settle(self, state: TrainState) -> None:
        """Have the weights written of the readers that have just become satisfied."""
        fresh = [
            name
            for name, reader in state.readers.items()
            if reader.finished and name not in self._settled
        ]
        if not fresh:
            return
        self.flush()
        self.finish()  # the weights of earlier ones need not be held any more
        reads = {name: clipped(self.reads(), state.readers[name].epoch) for name in fresh}
        for name in fresh:
            reader = state.readers[name]
            kept = kept_epochs(self._task.stage.readers[name], reader)
            outcome = {
                **described(state.network),
                "status": "done",
                "inputs": dict(self.inputs),
                "reads": as_lists(reads[name]),
                "best_epoch": reader.best_epoch,
                "last_epoch": reader.epoch,
                "stopped_early": reader.stopped_early,
            }
            self._keep_weights(state, name, outcome, kept)
        self._settled.update(fresh)
        self._task.store_ranges({name: as_lists(each) for name, each in reads.items()})

    def keep_last_state(self, state: TrainState) -> None:
        """Keep the state at the end, for branches and for later runs that go on from it.

        A training that does not branch there does not wait for it. Nothing of the training may be
        changed afterwards before the writer has settled.
        """
        self.flush()
        context, stage = self._context, self._task.stage
        name = stage.trajectory.state_at(state.epoch)
        if not is_kept(context, stage, name):
            return
        context.writer.settle()
        last = packed(context, self.inputs, self._task, state, self.reads(), goes_on=False)
        written, check = only_on_disk(context, self._task, state), self._task.check_claim

        def write() -> str:
            reached("state about to be written")
            whole = with_written(last, written)
            whole = joined(whole, load_checkpoint(context.artifact_path(name)))
            note = keep_state(context, stage, name, whole, check)
            share(context.artifacts, name, check)
            return note

        if name in stage.produces:
            self._ask(write, lambda note: None)
            self.finish()
        else:
            context.writer.leave(name, lambda: told(write))

    def redone(self) -> str:
        """Return what a training that is stopped now does again later."""
        epoch, steps = self._saved
        if steps and self._saved == self._stopped:
            return "this training goes on from there"
        if steps:
            return f"this training goes on in epoch {epoch + 1} after step {steps}"
        if epoch:
            return f"this training goes on after epoch {epoch}"
        return "this training starts again from its first epoch"

    def _ask(self, write: Callable[[], T], note: Callable[[T], None]) -> None:
        """Have something written, and note here, later, what came of it."""
        device = self._context.device
        moment = moment_on(device)

        def beside() -> T:
            self._task.check_claim()
            with read_beside(device, moment):
                return write()

        self._writes.append((self._context.writer.add(beside), note))

    def _note_first(self) -> None:
        written, note = self._writes[0]
        try:
            value = written.result()
        finally:
            if written.done():  # else asked to stop while waiting
                self._writes.popleft()
        note(value)

    def _note_checkpoint(self, written: tuple[int, int]) -> None:
        self._saved = written

    def _keep_weights(
        self, state: TrainState, name: str, outcome: dict[str, Any], kept: Mapping[Any, int]
    ) -> None:
        """Have the weights of a reader written; those of an earlier attempt are there."""
        names = {weights_name(name, which): epoch for which, epoch in kept.items()}
        before = {each: state.written[each] for each in names if names[each] not in state.best}
        tensors = {each: state.best[epoch] for each, epoch in names.items() if each not in before}

        def write() -> list[Produced]:
            return [
                self._produced(each, before[each])
                if each in before
                else self._written(each, tensors.pop(each))
                for each in names
            ]

        def note(produced: Sequence[Produced]) -> None:
            self._task.produced.extend(produced)
            state.written.update({each.name: each.digest for each in produced})
            self._task.finished_readers[name] = outcome

        self._ask(write, note)

    def _produced(self, artifact: str, digest: str) -> Produced:
        return Produced(artifact, digest, self._context.artifact_path(artifact).stat().st_size)

    def _written(self, artifact: str, tensors: Mapping[str, Any]) -> Produced:
        path = self._context.artifact_path(artifact)
        check = self._task.check_claim
        digest, size = with_room(self._context, lambda: save_weights(path, tensors, check))
        reached("weights written, not recorded")
        share(self._context.artifacts, artifact, check)  # before a checkpoint that counts on them
        return Produced(artifact, digest, size)
