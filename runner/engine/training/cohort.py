"""Trainings that are done together, epoch after epoch, until each has ended; one alone is one too.

Those whose next epoch is the earliest take its steps; others wait until they are level. Owns who
ends when something happens: one training by its own end or error, all of them when asked to stop
or when memory is too little.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress

from runner.core.errors import Interrupted, StageFailed
from runner.core.stages import Train
from runner.engine.context import Context, Outcome
from runner.engine.failures import as_failure, is_out_of_memory, let_go, out_of_memory
from runner.engine.job import StageJob
from runner.engine.training.loop import Training
from runner.engine.training.together import take_steps

EpochLoop = Generator[Training, None, Outcome]
"""One training from start to end: yields itself before each epoch, which is to be finished when it
goes on; errors of its steps are raised in it."""

Ended = Callable[[StageJob[Train], Outcome | BaseException], None]
"""Told of each training that has ended, as soon as it has."""


class TogetherOutOfMemory(StageFailed):
    """There is too little memory for so many trainings at once."""


class Cohort:
    """Trainings that go on together."""

    def __init__(
        self,
        context: Context,
        loops: Sequence[tuple[StageJob[Train], EpochLoop]],
        ended: Ended,
    ) -> None:
        self._context, self._ended = context, ended
        self._is_alone = len(loops) == 1
        self._jobs = [job for job, _ in loops]
        self._loops = dict(enumerate(loop for _, loop in loops))
        self._trainings: dict[int, Training] = {}

    def run(self) -> None:
        """Go on until each has ended.

        Raises:
            TogetherOutOfMemory: where there are several; none of them is held any more.
            Interrupted: when asked to stop.
            Exception: what ``ended`` raises.
        """
        try:
            for number in [*self._loops]:
                self._go_on(number)
            while self._trainings:
                self._epoch()
        except BaseException as error:
            self._stop(isinstance(error, Exception))
            if isinstance(error, TogetherOutOfMemory):
                let_go(self._context, error)
            raise

    def _epoch(self) -> None:
        """Train the next epoch of those that have done the fewest."""
        epoch = min(each.epoch for each in self._trainings.values())
        level = {number: each for number, each in self._trainings.items() if each.epoch == epoch}
        numbers = {id(each): number for number, each in level.items()}

        def left(training: Training, error: Exception | None) -> None:
            number = numbers[id(training)]
            del level[number]
            try:
                self._go_on(number, error)
            finally:
                del error  # as it holds this frame

        take_steps([*level.values()], left)
        for number in [*level]:
            self._go_on(number)

    def _go_on(self, number: int, error: Exception | None = None) -> None:
        """Let a training go on to before its next epoch or to its end, after an error or not."""
        loop, job = self._loops[number], self._jobs[number]
        try:
            training = next(loop) if error is None else loop.throw(error)
            if number not in self._trainings:
                self._check(training)
                self._trainings[number] = training
        except StopIteration as stop:
            self._end(number, stop.value)
        except Interrupted:
            raise
        except Exception as caught:
            if not self._is_alone and is_out_of_memory(caught):
                raise self._together_out_of_memory(job, caught) from None
            self._end(number, as_failure(self._context, job.stage, caught))
        finally:
            del error  # as it holds this frame

    def _end(self, number: int, end: Outcome | Exception) -> None:
        self._trainings.pop(number, None)
        self._loops.pop(number).close()
        try:
            self._ended(self._jobs[number], end)
        finally:
            del end  # as it may hold this frame

    def _check(self, training: Training) -> None:
        """Raise for a training that sees other batches than the others."""
        for other in self._trainings.values():
            if not other.sees_batches_of(training):
                raise RuntimeError("trainings that see different batches cannot be done together")

    def _together_out_of_memory(self, job: StageJob[Train], error: Exception) -> Exception:
        let_go(self._context, error)
        count = len(self._loops)
        message = out_of_memory(self._context, job.stage, error)
        return TogetherOutOfMemory(f"{message}, with {count} trainings together")

    def _stop(self, is_between_steps: bool) -> None:
        """Let those that have not ended store and write all that they have.

        Within a step, as by a second Ctrl-C, that is nothing of the epoch in progress.
        """
        self._trainings.clear()
        for number in [*self._loops]:
            with suppress(Exception):
                loop = self._loops.pop(number)
                if is_between_steps:
                    loop.throw(Interrupted("stopped with the others"))
                else:
                    loop.close()
