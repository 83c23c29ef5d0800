"""Does one stage: from what a plan hands over to an outcome.

The only entrance to this package for execution. Turns out-of-memory and unreadable data into
errors that name what was tried; decides nothing else.
"""

from __future__ import annotations

import json
import math
from typing import assert_never, cast

import torch
from torch import Tensor

from runner.artifacts.folder import INDEX
from runner.artifacts.states import remove_checkpoints
from runner.components.measures import BY_NAME, STANDARD
from runner.components.resolved import typed_data, typed_settings
from runner.core.artifacts import pixels_name
from runner.core.errors import StageFailed
from runner.core.moments import reached
from runner.core.stages import Evaluate, ExtractFeatures, Prepare, Stage, Train
from runner.engine.arithmetic import UNREPEATABLE, computing, memory_format
from runner.engine.context import Context, Outcome, Progress
from runner.engine.data.pixels import open_images, prepare
from runner.engine.data.samples import Images
from runner.engine.job import StageJob
from runner.engine.memory import keep_freed_memory, return_freed_memory
from runner.engine.network.build import load_state, network_for
from runner.engine.network.layout import outside_prefix
from runner.engine.network.whole_weights import whole_weights
from runner.engine.stages.evaluate import evaluate
from runner.engine.stages.features import features_stage, take_features
from runner.engine.stages.train import train_stage


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


def _do(context: Context, job: StageJob[Stage]) -> Outcome:
    stage = job.stage
    if isinstance(stage, Prepare):
        return _prepare(context, stage)
    precision = typed_settings(stage.settings).train.precision
    try:
        with computing(context.device, precision, context.deterministic):
            return _compute(context, job, stage)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if UNREPEATABLE in str(error):
            raise StageFailed(_unrepeatable(error)) from None
        if not _is_out_of_memory(error):
            raise
        message = _out_of_memory(context, stage, error)
        error.__traceback__ = None  # its frames hold the tensors that must be freed
        if context.device.type != "cpu":
            torch.get_device_module(context.device).empty_cache()
        raise StageFailed(message) from None


def _compute(
    context: Context, job: StageJob[Stage], stage: ExtractFeatures | Train | Evaluate
) -> Outcome:
    settings = typed_settings(stage.settings)
    form = memory_format(context.device, settings.train.precision)
    images = open_images(context, stage.pixels_key, settings.data, form)
    match stage:
        case ExtractFeatures():
            unused = outside_prefix(settings, images.shape, len(images.classes))
            network = network_for(context, settings, images, given=unused)
            return features_stage(context, images, network, stage)
        case Train():
            return train_stage(context, images, cast(StageJob[Train], job))
        case Evaluate():
            return _evaluate(context, cast(StageJob[Evaluate], job), images)
        case _:
            assert_never(stage)


def end_stage(context: Context, stage: Stage) -> None:
    """Tidy up after a stage whose end is recorded."""
    if isinstance(stage, Train):
        remove_checkpoints(context.artifacts, [stage.key])


def _prepare(context: Context, stage: Prepare) -> Outcome:
    try:
        return prepare(context, stage.pixels_key, typed_data(stage.data), stage.produces[0])
    except MemoryError as error:
        raise StageFailed(f"out of memory while preparing images: {error}") from None


def _evaluate(context: Context, job: StageJob[Evaluate], images: Images) -> Outcome:
    stage, settings = job.stage, typed_settings(job.stage.settings)
    weights = _weights(context, job)
    network = network_for(context, settings, images, given=weights.keys())
    load_state(network, weights)
    network, samples = take_features(context, stage, images, network)
    epoch = stage.epoch_number
    if epoch is None:
        epoch = int(job.outcomes[stage.solo_key][f"{stage.epoch}_epoch"])
    measures = [BY_NAME[name] for name in stage.measures] or STANDARD
    split, precision = stage.split, settings.train.precision

    def report(done: int, total: int) -> None:
        context.on_progress(Progress(done, total, split=split))

    reached("evaluation begins")
    measured = evaluate(network, samples, split, epoch, precision, measures, on_images=report)
    reached("evaluated, not recorded")
    for metric in measured:
        if not math.isfinite(metric.value):
            name = f"{metric.split}_{metric.name}"
            raise StageFailed(f"{name} is not finite ({metric.value}) in epoch {epoch}")
    reads = {"reads": [[job.attempt, epoch, epoch]]}
    return Outcome("done", reads, measured=measured)


def _weights(context: Context, job: StageJob[Evaluate]) -> dict[str, Tensor]:
    """Return the weights that an evaluation looks at, as the training recorded them.

    Raises:
        StageFailed: when they are gone or damaged.
    """
    name = job.stage.weights
    path = context.artifact_path(name)
    weights = whole_weights(path, job.digest_of(name))
    if not weights:
        raise StageFailed(
            f"the weights in {path} are gone, damaged or not those that were recorded;"
            " --retry-failed makes them again"
        )
    return weights


def _unrepeatable(error: BaseException) -> str:
    operation, _, _ = str(error).partition(UNREPEATABLE)
    return (
        f"{operation.strip()} cannot repeat itself to the byte on this device: a network that"
        " needs it runs without --deterministic only, and cannot be verified here"
    )


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return "can't allocate memory" in text or "out of memory" in text


def _out_of_memory(
    context: Context, stage: ExtractFeatures | Train | Evaluate, error: BaseException
) -> str:
    settings = typed_settings(stage.settings)
    folder = context.artifact_path(pixels_name(stage.pixels_key))
    _, height, width, channels = json.loads((folder / INDEX).read_text())["shape"]
    said = str(error).strip().splitlines()
    return (
        f"out of memory with batch_size {settings.train.batch_size} of {channels}×{height}×{width}"
        f" images on {context.device}: {said[0] if said else 'no memory'}"
    )
