"""Does one stage, or trainings together: from what a plan hands over to outcomes.

The only entrance to this package for execution. Turns out-of-memory and unreadable data into
errors that name what was tried; decides nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never, cast

from runner.artifacts.checkpoints import remove_checkpoints
from runner.components.resolved import typed_data, typed_settings
from runner.core.errors import StageFailed
from runner.core.stages import Analyse, Evaluate, ExtractFeatures, Prepare, Stage, Train
from runner.engine.arithmetic import computing, memory_format
from runner.engine.context import Context, Outcome
from runner.engine.data.pixels import open_images, prepare
from runner.engine.failures import as_failure
from runner.engine.job import StageJob
from runner.engine.memory import keep_freed_memory, return_freed_memory
from runner.engine.network.build import network_for
from runner.engine.network.layout import outside_prefix
from runner.engine.stages.after_training import (
    analyse_split,
    analyse_weights,
    evaluate_weights,
    from_logits,
)
from runner.engine.stages.features import features_stage
from runner.engine.stages.train import train_stages
from runner.engine.training.cohort import Ended


def do_stage(context: Context, job: StageJob[Stage]) -> Outcome:
    """Do one stage.

    Raises:
        StageFailed: for out of memory, with the size tried.
        DataError: for images that cannot be prepared.
        Interrupted: when asked to stop.
        ClaimLost: when another process took the stage over.
        OSError: when the disk is full.
    """
    keep_freed_memory()
    try:
        return _do(context, job)
    finally:
        return_freed_memory()


def do_together(context: Context, jobs: Sequence[StageJob[Train]], ended: Ended) -> None:
    """Do several train stages that see the same batches, each as it would be done alone.

    Args:
        context: of the stages, but for the progress of each.
        jobs: the stages.
        ended: told of each stage's outcome, or of the error that ended it alone, as soon as it has
            ended, while others go on.

    Raises:
        TogetherOutOfMemory: none of them is held any more; those that had not ended go on from
            their checkpoints, fewer at a time or alone.
        Interrupted: when asked to stop.
        Exception: what ``ended`` raises: all others are stopped.
    """
    keep_freed_memory()
    try:
        _train(context, jobs, ended)
    finally:
        return_freed_memory()


def _train(context: Context, jobs: Sequence[StageJob[Train]], ended: Ended) -> None:
    precision = typed_settings(jobs[0].stage.settings).train.precision
    with computing(context.device, precision, context.deterministic):
        train_stages(context, jobs, ended)


def _train_alone(context: Context, job: StageJob[Train]) -> Outcome:
    ends: list[Outcome | BaseException] = []
    _train(context, [job], lambda _, end: ends.append(end))
    end = ends.pop()
    try:
        if isinstance(end, BaseException):
            raise end
        return end
    finally:
        del end  # as it may hold this frame


def _do(context: Context, job: StageJob[Stage]) -> Outcome:
    match job.stage:
        case Prepare():
            return _prepare(context, job.stage)
        case Train():
            return _train_alone(context, cast(StageJob[Train], job))
        case ExtractFeatures() | Evaluate() | Analyse():
            return _compute(context, job, job.stage)
        case _:
            assert_never(job.stage)


def _compute(
    context: Context, job: StageJob[Stage], stage: ExtractFeatures | Evaluate | Analyse
) -> Outcome:
    settings = typed_settings(stage.settings)
    precision = settings.train.precision
    try:
        with computing(context.device, precision, context.deterministic):
            if isinstance(stage, Evaluate | Analyse):
                known = from_logits(context, cast(StageJob[Evaluate | Analyse], job))
                if known is not None:
                    return known
            if isinstance(stage, Analyse) and stage.image_shape is not None:
                return analyse_weights(context, cast(StageJob[Analyse], job), None)
            form = memory_format(context.device, precision)
            images = open_images(context, stage.pixels_key, settings.data, form)
            if isinstance(stage, Evaluate):
                return evaluate_weights(context, cast(StageJob[Evaluate], job), images)
            if isinstance(stage, Analyse):
                make = analyse_split if stage.logits else analyse_weights
                return make(context, cast(StageJob[Analyse], job), images)
            unused = outside_prefix(settings, images.shape, len(images.classes))
            network = network_for(context, settings, images, given=unused)
            return features_stage(context, images, network, stage)
    except Exception as error:
        failure = as_failure(context, stage, error)
        if failure is error:
            raise
        raise failure from None


def end_stage(context: Context, stage: Stage) -> None:
    """Tidy up after a stage whose end is recorded."""
    if isinstance(stage, Train | Analyse):
        remove_checkpoints(context.artifacts, [stage.key])


def _prepare(context: Context, stage: Prepare) -> Outcome:
    try:
        return prepare(context, stage.pixels_key, typed_data(stage.data), stage.produces[0])
    except MemoryError as error:
        raise StageFailed(f"out of memory while preparing images: {error}") from None
