"""Logits of what a training evaluates after each epoch, of the epochs whose weights are kept.

Written when the training has ended. Its evaluations have computed them; those of epochs that an
earlier process trained, or of which too many were to be held, are computed once more, from the
weights as they lie on the disk, in the same batches: the same bytes on a CPU. Numbers do without
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

import numpy as np
from numpy.typing import NDArray

from runner.components.resolved import typed_settings
from runner.components.settings import splits_with_logits
from runner.core.artifacts import weights_name
from runner.core.moments import reached
from runner.core.stages import Train
from runner.engine.context import Context, Progress
from runner.engine.data.samples import Samples
from runner.engine.job import StageJob
from runner.engine.network.build import Network, load_state
from runner.engine.network.whole_weights import whole_weights
from runner.engine.stages.evaluate import Logits, evaluate
from runner.engine.stages.keeping import RunWeights, keep_logits
from runner.engine.training.state import TrainState


class _AskedToStop(Exception):
    """Ends a pass for logits."""


def keep_training_logits(
    context: Context, job: StageJob[Train], state: TrainState, samples: Samples, epoch: int
) -> None:
    """Keep the logits of the validation images, and of test images evaluated after each epoch.

    Where the whole run is asked to stop, those that would have to be computed are not kept, which
    is said: the training has ended all the same.

    Args:
        context: of the stage.
        job: its readers that want no further epoch, and their weights, are known.
        state: at its end, with the logits that are held; its network computes others, or a copy
            of it where other weights do.
        samples: as the network takes them.
        epoch: whose weights its network has, 0 where that is not known.

    Raises:
        ClaimLost: when another process took the stage over.
        OSError: when they cannot be written, but for a full disk.
    """
    splits = splits_with_logits(typed_settings(job.stage.settings))
    kept = _kept_weights(job) if splits else []
    kept.sort(key=lambda each: (each.epoch not in state.logits, each.epoch))
    if kept:
        reached("training ended, logits to be kept")
    try:
        _keep(context, job, state, samples, epoch, splits, kept)
    except _AskedToStop:
        context.on_note("asked to stop: not all logits of the last training are kept, all else is")


def _keep(
    context: Context,
    job: StageJob[Train],
    state: TrainState,
    samples: Samples,
    epoch: int,
    splits: Sequence[str],
    kept: Sequence[RunWeights],
) -> None:
    """Keep those of each of some weights, sorted by their epochs."""
    found: Mapping[str, NDArray[np.float32]] = {}
    at, found_of = epoch, 0
    own: Network | None = None
    for each in kept:
        if each.epoch != found_of:  # of one epoch at a time: many readers may have as many epochs
            found, found_of = state.logits.take(each.epoch), each.epoch
        if not found and each.epoch != at:
            path = context.artifact_path(weights_name(each.run, each.which))
            weights = whole_weights(path, each.digest)
            if not weights:
                context.on_note(f"logits of epoch {each.epoch} are not kept: its weights are gone")
                continue
            if own is None:  # the last state may just be written from the network itself
                own = deepcopy(state.network)
            load_state(own, weights)
            at = each.epoch
        if not found:
            network = state.network if own is None else own
            found = {split: _logits(context, job, network, samples, split) for split in splits}
        for split in splits:
            made = keep_logits(context, samples, split, found[split], each, job.check_claim)
            job.produced.extend(made)


def _kept_weights(job: StageJob[Train]) -> list[RunWeights]:
    """Return the weights that its readers keep."""
    digests = {each.name: each.digest for each in job.produced}
    return [
        RunWeights(run, which, digests[weights_name(run, which)], outcome[f"{which}_epoch"])
        for run, outcome in job.finished_readers.items()
        if outcome["status"] == "done"
        for which in job.stage.readers[run].keeps
    ]


def _logits(
    context: Context, job: StageJob[Train], network: Network, samples: Samples, split: str
) -> NDArray[np.float32]:
    precision = typed_settings(job.stage.settings).train.precision
    given = Logits()

    def report(done: int, total: int) -> None:
        if context.should_stop():
            raise _AskedToStop
        context.on_progress(Progress(done, total, split=split))

    evaluate(network, samples, split, 0, precision, (), report, given)
    return given.whole()
