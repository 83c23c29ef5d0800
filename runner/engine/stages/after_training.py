"""The stages after a training: evaluations and analyses of the weights that it has kept.

Owns where their numbers come from: logits that are kept, else the network with the weights. How
measures, analyses and logits are made and kept is said beside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.components.analyses import typed_analysis
from runner.components.measures import BY_NAME, STANDARD, Measure, SummedMeasure, WholeMeasure
from runner.components.resolved import typed_metric, typed_settings
from runner.components.settings import METRIC_SPLITS, metric_split
from runner.core.errors import StageFailed
from runner.core.moments import reached
from runner.core.records import Metric, Produced
from runner.core.stages import Analyse, Evaluate
from runner.engine.analyses.partial_values import PartialValues
from runner.engine.analyses.result import AnalysisInput, NetworkInput
from runner.engine.context import Context, Outcome, Progress
from runner.engine.data.samples import Images, Samples
from runner.engine.fetching import read_fetched
from runner.engine.job import StageJob
from runner.engine.kept_logits import whole_logits
from runner.engine.network.build import Network, load_state, network_for, network_of
from runner.engine.network.whole_weights import whole_weights
from runner.engine.stages.analyse import analyse, analyse_logits
from runner.engine.stages.evaluate import Logits, evaluate, measured_of_logits
from runner.engine.stages.features import take_features
from runner.engine.stages.keeping import RunWeights, described_logits, keep_logits


def from_logits(context: Context, job: StageJob[Evaluate | Analyse]) -> Outcome | None:
    """Return what follows from logits that are kept, None where the network is needed.

    Raises:
        StageFailed: when the plan counts on them, and they are gone or damaged.
    """
    stage = job.stage
    if not stage.logits or not (isinstance(stage, Analyse) or stage.from_logits or stage.measures):
        return None
    path = context.artifact_path(stage.logits)
    digests = job.digest_of(stage.logits), job.digest_of(stage.weights)
    found = read_fetched(context, stage.logits, lambda path: whole_logits(path, *digests))
    if found is None:
        if not stage.from_logits:
            return None
        raise StageFailed(
            f"the logits in {path} are gone, damaged or not those of the weights;"
            " --retry-failed makes them again where the weights are there"
        )
    epoch = _epoch_of(job)
    if isinstance(stage, Analyse):
        return analyse_logits(context, cast(StageJob[Analyse], job), found, epoch)
    measured = _of_logits(stage, found.logits, found.labels, epoch, _measures(stage))
    return _evaluated(cast(StageJob[Evaluate], job), _known(context, stage, measured))


def evaluate_weights(context: Context, job: StageJob[Evaluate], images: Images) -> Outcome:
    """Return the measures of kept weights; their logits stay beside the numbers."""
    stage, split, epoch = job.stage, job.stage.split, _epoch_of(job)
    network, weights = _network_of_run(context, job, images)
    network, samples = take_features(context, stage, images, network)
    measures = _measures(stage)
    summed = [each for each in measures if isinstance(each, SummedMeasure)]
    reached("evaluation begins")
    found, logits = _pass(context, job, network, samples, split, summed)
    measured, labels = _known(context, stage, found), samples.labels(METRIC_SPLITS[split])
    others = [each for each in measures if isinstance(each, WholeMeasure)]
    if others or stage.metric is not None:
        if not np.isfinite(logits).all():
            raise StageFailed(f"logits of {split} are not finite in epoch {epoch}")
        found = _of_logits(stage, logits, labels, epoch, others)
        measured += _known(context, stage, found)
    kept = keep_logits(context, samples, split, logits, weights, job.check_claim)
    return _evaluated(job, measured, kept)


def analyse_split(context: Context, job: StageJob[Analyse], images: Images) -> Outcome:
    """Return an analysis of logits that were not kept: they are computed, and kept from now on."""
    stage = job.stage
    looked_at = typed_analysis(stage.analysis).looks_at()
    assert looked_at is not None, "logits are those of images"
    split = metric_split(looked_at)
    network, weights = _network_of_run(context, job, images)
    _, logits = _pass(context, job, network, images, split)
    if not np.isfinite(logits).all():
        raise StageFailed(f"logits of {split} are not finite in epoch {weights.epoch}")
    kept = keep_logits(context, images, split, logits, weights, job.check_claim)
    described = described_logits(images, split, logits, weights)
    outcome = analyse_logits(context, job, described, weights.epoch)
    return replace(outcome, produced=(*kept, *outcome.produced))


def analyse_weights(context: Context, job: StageJob[Analyse], images: Images | None) -> Outcome:
    """Return an analysis of kept weights, of all images or, without them, of the weights alone."""
    stage, settings = job.stage, typed_settings(job.stage.settings)
    shape, num_classes = stage.image_shape, stage.num_classes
    if images is not None:
        shape, num_classes = images.shape, len(images.classes)
    assert shape is not None, "an analysis without images knows what they are like"
    weights = _weights(context, job)
    network = network_of(context, settings, shape, num_classes, given=weights.keys())
    load_state(network, weights)
    network.eval()
    common: dict[str, Any] = {
        "name": stage.name,
        "context": context,
        "network": network,
        "settings": settings,
        "epoch": _epoch_of(job),
        "shape": shape,
        "num_classes": num_classes,
    }
    if images is None:
        return analyse(NetworkInput(**common), job)
    return analyse(
        AnalysisInput(**common, images=images, partial_values=PartialValues(context, job)), job
    )


def _network_of_run(
    context: Context, job: StageJob[Any], images: Images
) -> tuple[Network, RunWeights]:
    """Return the network with the weights that a run has kept."""
    stage = job.stage
    tensors = _weights(context, job)
    network = network_for(context, typed_settings(stage.settings), images, given=tensors.keys())
    load_state(network, tensors)
    digest = job.digest_of(stage.weights)
    assert digest is not None, "weights are compared with their digest before they are used"
    return network, RunWeights(stage.solo_key, stage.epoch, digest, _epoch_of(job))


def _pass(
    context: Context,
    job: StageJob[Any],
    network: Network,
    samples: Samples,
    split: str,
    measures: Sequence[SummedMeasure] = (),
) -> tuple[Sequence[Metric], NDArray[np.float32]]:
    """Return measures and logits (N, classes) of a split under the weights of a stage."""
    given, epoch = Logits(), _epoch_of(job)
    precision = typed_settings(job.stage.settings).train.precision

    def report(done: int, total: int) -> None:
        context.on_progress(Progress(done, total, split=split))

    found = evaluate(network, samples, split, epoch, precision, measures, report, given)
    return found, given.whole()


def _evaluated(
    job: StageJob[Evaluate], measured: Sequence[Metric], kept: Sequence[Produced] = ()
) -> Outcome:
    reached("evaluated, not recorded")
    epoch = _epoch_of(job)
    reads = {"reads": [[job.attempt, epoch, epoch]]}
    return Outcome("done", reads, measured=measured, produced=kept)


def _measures(stage: Evaluate) -> Sequence[Measure]:
    """Return the program's measures that an evaluation is of: of an own metric none."""
    if stage.metric is not None:
        return ()
    return [BY_NAME[name] for name in stage.measures] or STANDARD


def _of_logits(
    stage: Evaluate,
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    epoch: int,
    measures: Sequence[Measure],
) -> tuple[Metric, ...]:
    """Return measures of logits (N, classes) and labels (N,), or the own metric of a stage."""
    if stage.metric is None:
        return measured_of_logits(logits, labels, stage.split, epoch, measures)
    given = torch.from_numpy(logits), torch.from_numpy(labels)
    value = typed_metric(stage.metric).measure_logits(*given)
    return tuple(Metric(epoch, stage.split, name, value) for name in stage.measures)


def _known(context: Context, stage: Evaluate, measured: Sequence[Metric]) -> tuple[Metric, ...]:
    """Return measures without those that these images do not have, which is said.

    Raises:
        StageFailed: where one is not finite that any images have.
    """
    known = tuple(each for each in measured if math.isfinite(each.value))
    for each in measured:
        if math.isfinite(each.value):
            continue
        name = f"{each.split}_{stage.called or each.name}"
        if stage.metric is None and not isinstance(BY_NAME[each.name], WholeMeasure):
            raise StageFailed(f"{name} is not finite ({each.value}) in epoch {each.epoch}")
        context.on_note(f"{name} is not recorded: these images and labels have none")
    return known


def _epoch_of(job: StageJob[Evaluate | Analyse]) -> int:
    """Return the epoch whose weights a stage looks at."""
    stage = job.stage
    if stage.epoch_number is not None:
        return stage.epoch_number
    return int(job.outcomes[stage.solo_key][f"{stage.epoch}_epoch"])


def _weights(context: Context, job: StageJob[Evaluate | Analyse]) -> dict[str, Tensor]:
    """Return the weights that an evaluation or analysis looks at, as the training recorded them.

    Raises:
        StageFailed: when they are gone or damaged.
    """
    name = job.stage.weights
    path = context.artifact_path(name)
    weights = read_fetched(context, name, partial(whole_weights, digest=job.digest_of(name)))
    if not weights:
        again = (
            "--retry-failed" if job.stage.epoch_number is None else "only training again (--rerun)"
        )
        raise StageFailed(
            f"the weights in {path} are gone, damaged or not those that were recorded;"
            f" {again} makes them again"
        )
    return weights
