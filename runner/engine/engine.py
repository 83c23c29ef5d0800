"""Does one stage: from what a plan hands over to an outcome.

The only entrance to this package for execution. Turns out-of-memory and unreadable data into
errors that name what was tried; decides nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from runner.artifacts.folder import Artifacts
from runner.components.data import Data
from runner.components.data.dataset import DatasetSettings
from runner.components.measures import STANDARD
from runner.components.settings import Settings
from runner.core.errors import StageFailed
from runner.core.plan import Record
from runner.core.reader import reader_of
from runner.core.stages import Stage
from runner.engine.context import (
    Context,
    EpochSink,
    Outcome,
    Produced,
    Progress,
    RangeSink,
)
from runner.engine.data.pixels import open_images, prepare
from runner.engine.data.samples import Images
from runner.engine.network.build import load_state, network_for
from runner.engine.products import DigestOf, whole_weights
from runner.engine.stages.evaluate import evaluate
from runner.engine.stages.features import features_stage, take_features
from runner.engine.stages.train import TrainJob, forget_checkpoint, train_stage
from runner.engine.training.checkpoint import describe_checkpoint, remove_checkpoint

CanContinue = Callable[[Sequence[Sequence[int]]], bool]


@dataclass(frozen=True)
class StageJob:
    """One stage to do, with where its records go.

    Attributes:
        stage: the stage.
        attempt: id of the attempt that records it.
        store_epochs: stores finished epochs.
        can_continue: whether ranges of recorded epochs are all there.
        readings: what became of readers in trainings that have ended, for evaluations.
        digest_of: returns the recorded digest of weights, for evaluations.
        record: recorded epochs from which a training is read, or None.
        store_ranges: stores which epochs the readers of a training have so far.
        settled: filled with what becomes of the readers of a training, also when it fails later.
        produced: filled with their weights, likewise.
    """

    stage: Stage
    attempt: int
    store_epochs: EpochSink
    can_continue: CanContinue
    readings: Mapping[str, Mapping[str, Any]]
    digest_of: DigestOf = lambda name: None
    record: Record | None = None
    store_ranges: RangeSink = lambda ranges: None
    settled: dict[str, Any] = field(default_factory=dict)
    produced: list[Produced] = field(default_factory=list)


def do_stage(context: Context, job: StageJob) -> Outcome:
    """Do one stage.

    Raises:
        StageFailed: for out of memory, with the size tried.
        DataError: for images that cannot be prepared.
        Interrupted: when asked to stop.
        ClaimLost: when another process took the stage over.
        OSError: when the disk is full.
    """
    if job.stage.kind == "prepare":
        return _prepare(context, job.stage)
    settings = _settings_of(job.stage)
    try:
        images = _images(context, job.stage, settings)
        if job.stage.kind == "features":
            return _features(context, job.stage, settings, images)
        if job.stage.kind == "train":
            return _train(context, job, settings, images)
        return _evaluate(context, job, settings, images)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        message = _out_of_memory(context, job.stage, settings, error)
        error.__traceback__ = None  # its frames hold the tensors that must be freed
        if context.device.type == "cuda":
            torch.cuda.empty_cache()
        raise StageFailed(message) from None


def end_stage(context: Context, stage: Stage) -> None:
    """Tidy up after a stage whose end is recorded."""
    if stage.kind == "train":
        forget_checkpoint(context, stage.key)


def left_checkpoints(artifacts: Artifacts) -> dict[str, list[str]]:
    """Return the readings that each checkpoint is for, by the key of its stage."""
    home = artifacts.home("checkpoints")
    left: dict[str, list[str]] = {}
    for each in home.iterdir() if home.is_dir() else ():
        values = describe_checkpoint(each)
        left[each.name] = [] if values is None else list(values["readers"])
    return left


def forget_checkpoints(artifacts: Artifacts, stage_keys: Collection[str]) -> None:
    """Remove the checkpoints of these stages."""
    for key in stage_keys:
        remove_checkpoint(artifacts.checkpoint(key))


def _settings_of(stage: Stage) -> Settings:
    return Settings.model_validate_json(json.dumps(stage.spec["settings"]))


def _data_settings(data: str) -> DatasetSettings:
    settings: DatasetSettings = TypeAdapter(Data).validate_json(data)
    return settings


def _prepare(context: Context, stage: Stage) -> Outcome:
    settings = _data_settings(json.dumps(stage.spec["data"]))
    try:
        return prepare(context, str(stage.spec["pixels_key"]), settings, stage.produces[0])
    except MemoryError as error:
        raise StageFailed(f"out of memory while preparing images: {error}") from None


def _images(context: Context, stage: Stage, settings: Settings) -> Images:
    return open_images(context, str(stage.spec["pixels_key"]), settings.data)


def _features(context: Context, stage: Stage, settings: Settings, images: Images) -> Outcome:
    network = network_for(context, settings, images)
    return features_stage(context, images, network, stage.spec, stage.produces[0])


def _train(context: Context, job: StageJob, settings: Settings, images: Images) -> Outcome:
    task = TrainJob(
        stage=job.stage,
        settings=settings,
        readers={name: reader_of(values) for name, values in job.stage.spec["readers"].items()},
        attempt=job.attempt,
        store_epochs=job.store_epochs,
        can_continue=job.can_continue,
        record=job.record,
        store_ranges=job.store_ranges,
        settled=job.settled,
        produced=job.produced,
    )
    return train_stage(context, images, task)


def _evaluate(context: Context, job: StageJob, settings: Settings, images: Images) -> Outcome:
    weights = _weights(context, job)
    network = network_for(context, settings, images)
    load_state(network, weights)
    network, samples = take_features(context, job.stage, images, network)
    reading = job.readings[str(job.stage.spec["reading"])]
    epoch = int(reading[f"{job.stage.spec['epoch']}_epoch"])
    split, precision = str(job.stage.spec["split"]), settings.train.precision

    def report(done: int, total: int) -> None:
        context.on_progress(Progress(done, total, split=split))

    measured = evaluate(network, samples, split, epoch, precision, STANDARD, on_images=report)
    for metric in measured:
        if not math.isfinite(metric.value):
            name = f"{metric.split}_{metric.name}"
            raise StageFailed(f"{name} is not finite ({metric.value}) in epoch {epoch}")
    reads = {"reads": [[job.attempt, epoch, epoch]]}
    return Outcome("done", reads, measured=measured)


def _weights(context: Context, job: StageJob) -> dict[str, Tensor]:
    """Return the weights that an evaluation looks at, as the training recorded them.

    Raises:
        StageFailed: when they are gone or damaged.
    """
    name = str(job.stage.spec["weights"])
    path = context.artifact_path(name)
    weights = whole_weights(path, job.digest_of(name))
    if not weights:
        raise StageFailed(
            f"the weights in {path} are gone, damaged or not those that were recorded;"
            " --retry-failed makes them again"
        )
    return weights


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return "can't allocate memory" in text or "out of memory" in text


def _out_of_memory(context: Context, stage: Stage, settings: Settings, error: BaseException) -> str:
    folder = context.artifact_path(f"pixels/{stage.spec['pixels_key']}")
    _, height, width, channels = json.loads((folder / "index.json").read_text())["shape"]
    said = str(error).strip().splitlines()
    return (
        f"out of memory with batch_size {settings.train.batch_size} of {channels}×{height}×{width}"
        f" images on {context.device}: {said[0] if said else 'no memory'}"
    )
