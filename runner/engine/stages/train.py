"""Train stages: start or continue, epoch after epoch, until no reader wants another.

Owns when records, checkpoints and weights are asked for, of one training or of several that are
done together; in which order they are written is the business of the book. A reader that is
satisfied has its weights on the disk soon and its outcome when the training ends, well or badly;
when it is stopped, after it has gone on.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

import torch

from runner.components.resolved import typed_settings
from runner.core.errors import Interrupted
from runner.core.moments import reached
from runner.core.plan import Record
from runner.core.records import EpochRange, as_lists, clipped
from runner.core.sharing import SHARED
from runner.core.stages import Train
from runner.engine.arithmetic import memory_format
from runner.engine.context import Context, Outcome
from runner.engine.data.pixels import open_images
from runner.engine.data.samples import Samples
from runner.engine.job import StageJob
from runner.engine.network.build import described, load_state, network_for, own_state
from runner.engine.stages.features import take_features
from runner.engine.stages.recorded import read_record
from runner.engine.stages.training_logits import keep_training_logits
from runner.engine.training.book import Book
from runner.engine.training.cohort import Cohort, Ended, EpochLoop
from runner.engine.training.common import Common
from runner.engine.training.loop import Diverged, Training
from runner.engine.training.resume import find_start
from runner.engine.training.state import TrainState
from runner.engine.training.stored import states_on_path, tensors_at_start


def train_stages(context: Context, jobs: Sequence[StageJob[Train]], ended: Ended) -> None:
    """Train each until no reader wants another epoch, or to the end of its path.

    Where everything is recorded, nothing is trained. Several are trained together, epoch by epoch,
    each as it would be alone: they must see the same batches.

    Args:
        context: of the stages, but for the progress of each.
        jobs: the stages.
        ended: told of the outcome or the error of each as soon as it has one.

    Raises:
        TogetherOutOfMemory: where there are several; their epochs are stored.
        Interrupted: when asked to stop; says which epochs are trained again.
        Exception: what ``ended`` raises.
    """
    gpus = [] if context.device.type == "cpu" else [context.device]
    kind = context.device.type if gpus else "cuda"
    common = Common() if len(jobs) > 1 else None
    loops = [(job, _epoch_loop(_context_of(context, job), job, common)) for job in jobs]
    with torch.random.fork_rng(gpus, device_type=kind):
        Cohort(context, loops, ended).run()


def _context_of(context: Context, task: StageJob[Train]) -> Context:
    if task.on_progress is None:
        return context
    return replace(context, on_progress=task.on_progress)


def _epoch_loop(context: Context, task: StageJob[Train], common: Common | None) -> EpochLoop:
    """Train, and yield before each epoch, whose steps are taken elsewhere; return the outcome.

    Raises:
        Interrupted: when asked to stop; says which epochs are trained again.
        ClaimLost: when another process took the stage over.
    """
    settings = typed_settings(task.stage.settings)
    form = memory_format(context.device, settings.train.precision)
    images = open_images(context, task.stage.pixels_key, settings.data, form)
    states = states_on_path(context, task)
    given = tensors_at_start(context, states)
    network = network_for(context, settings, images, given)
    if common is not None:
        common.share_frozen(network)
    opened = None if common is None else common.features
    network, samples = take_features(context, task.stage, images, network, opened)
    inputs = {"pixels": images.digest, "features": "" if samples is images else samples.digest}
    if task.record is not None:
        read = read_record(context, network, inputs, task, task.record)
        if read is not None:
            return _as_recorded(context, task, task.record, read, samples)
    state, before = find_start(context, network, inputs, task, states)
    if given and not before and state.started is None:
        load_state(network, own_state(network_for(context, settings, images)))
    reached("start of a training found")
    task.store_ranges(_to_read(task, state, before))
    book = Book(context, task, inputs, before, 0 if state.started is None else state.started.steps)
    training = Training(context, settings, task.stage.readers, samples, state)
    if common is not None and task.stage.unshared == SHARED:
        training.part = common.part_of(network)
    try:
        with book.at_work():
            try:
                diverged = yield from _epochs(training, task, book)
            except Interrupted:
                book.stop(training)
                raise
    except Interrupted as stop:
        raise Interrupted(f"{stop}; {book.redone()}") from None
    if diverged is None and state.epoch >= task.stage.first_epoch:
        book.keep_last_state(state)  # before the logits: killed there, no epoch is done again
    epoch = state.epoch if diverged is None else 0
    keep_training_logits(context, task, state, samples, epoch)
    if diverged is not None:
        return _diverged(diverged, task, state, book)
    return _done(task, state, book)


def _to_read(
    task: StageJob[Train], state: TrainState, before: Sequence[EpochRange]
) -> dict[str, list[EpochRange]]:
    """Return the epochs that each reader has, and those that it may read of this attempt."""
    last = task.stage.last_epoch
    ahead = [EpochRange(task.attempt, state.epoch + 1, last)] if state.epoch < last else []
    ends = {
        name: reader.epoch if reader.finished else task.stage.readers[name].budget
        for name, reader in state.readers.items()
    }
    return {name: clipped([*before, *ahead], end) for name, end in ends.items()}


def _as_recorded(
    context: Context,
    task: StageJob[Train],
    record: Record,
    state: TrainState,
    samples: Samples,
) -> Outcome:
    """Let the readers read recorded epochs; the one in which they diverge is recorded anew."""
    book = Book(context, task, record.inputs, clipped(record.ranges, state.epoch))
    with book.at_work():
        book.settle(state)
    keep_training_logits(context, task, state, samples, 0)
    ending = record.ending
    if not state.waiting() or ending is None:
        return _done(task, state, book)
    book.add(ending)
    book.flush()
    return _diverged(Diverged(ending.epoch, len(ending.step_losses), ending), task, state, book)


def _epochs(
    training: Training, task: StageJob[Train], book: Book
) -> Generator[Training, None, Diverged | None]:
    """Train epoch after epoch; return where it diverged, or None."""
    state, last = training.state, task.stage.last_epoch
    book.settle(state)
    while state.waiting() and state.epoch < last:
        reached("epoch begins")
        yield training
        record = training.finish()
        reached("epoch trained")
        if isinstance(record, Diverged):
            book.add(record.record)
            return record
        book.add(record)
        book.look()
        book.settle(state)
        if state.waiting() and state.epoch < last:
            book.checkpoint(state)
    return None


def _diverged(at: Diverged, task: StageJob[Train], state: TrainState, book: Book) -> Outcome:
    message = f"diverged in epoch {at.epoch} at step {at.step}"
    for name in state.waiting():
        task.finished_readers[name] = {
            **described(state.network),
            "status": "diverged",
            "message": message,
            "inputs": dict(book.inputs),
            "reads": as_lists(book.reads()),
            "best_epoch": state.readers[name].best_epoch or None,
            "last_epoch": state.epoch,
            "diverged": {"epoch": at.epoch, "step": at.step},
        }
    return Outcome("diverged", {"readers": task.finished_readers}, message, produced=task.produced)


def _done(task: StageJob[Train], state: TrainState, book: Book) -> Outcome:
    values = {"readers": task.finished_readers, "reads": as_lists(book.reads())}
    return Outcome("done", values, produced=task.produced)
