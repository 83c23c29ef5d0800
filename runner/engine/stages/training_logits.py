"""Logits of what a training evaluates after each epoch, of the epochs whose weights are kept.

Computed once, when the training has ended, from the weights as they lie on the disk: so nothing of
them is held while it trains, and a training that goes on, or reads what is recorded, leaves the
same. Numbers do without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
from numpy.typing import NDArray

from runner.components.resolved import typed_settings
from runner.components.settings import splits_each_epoch
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


class _AskedToStop(Exception):
    """Ends a pass for logits."""


def keep_training_logits(
    context: Context, job: StageJob[Train], network: Network, samples: Samples, epoch: int
) -> None:
    """Keep the logits of the validation images, and of test images evaluated after each epoch.

    Where the whole run is asked to stop, those that are left are not kept, which is said: the
    training has ended all the same.

    Args:
        context: of the stage.
        job: its readers that want no further epoch, and their weights, are known.
        network: computes them; a copy of it where other weights do.
        samples: as the network takes them.
        epoch: whose weights the network has, 0 where that is not known.

    Raises:
        ClaimLost: when another process took the stage over.
        OSError: when they cannot be written, but for a full disk.
    """
    settings = typed_settings(job.stage.settings)
    splits = [split for split in splits_each_epoch(settings) if split != "train_eval"]
    kept = _kept_weights(job) if splits else []
    if kept:
        reached("training ended, logits to be kept")
    try:
        _keep(context, job, network, samples, epoch, splits, kept)
    except _AskedToStop:
        context.on_note("asked to stop: not all logits of the last training are kept, all else is")


def _keep(
    context: Context,
    job: StageJob[Train],
    network: Network,
    samples: Samples,
    epoch: int,
    splits: Sequence[str],
    kept: Sequence[RunWeights],
) -> None:
    """Keep those of each of some weights, sorted by their epochs."""
    found: dict[str, NDArray[np.float32]] = {}
    at, found_of = epoch, 0
    own: Network | None = None
    for each in kept:
        if each.epoch != found_of:  # of one epoch at a time: many readers may have as many epochs
            found, found_of = {}, each.epoch
        lacking = [split for split in splits if split not in found]
        if lacking and each.epoch != at:
            path = context.artifact_path(weights_name(each.run, each.which))
            weights = whole_weights(path, each.digest)
            if not weights:
                context.on_note(f"logits of epoch {each.epoch} are not kept: its weights are gone")
                continue
            if own is None:  # the last state may just be written from the network itself
                own = deepcopy(network)
            load_state(own, weights)
            at = each.epoch
        for split in lacking:
            found[split] = _logits(context, job, network if own is None else own, samples, split)
        for split in splits:
            made = keep_logits(context, samples, split, found[split], each, job.check_claim)
            job.produced.extend(made)


def _kept_weights(job: StageJob[Train]) -> list[RunWeights]:
    """Return the weights that its readers keep, in the order of their epochs."""
    digests = {each.name: each.digest for each in job.produced}
    kept = [
        RunWeights(run, which, digests[weights_name(run, which)], outcome[f"{which}_epoch"])
        for run, outcome in job.finished_readers.items()
        if outcome["status"] == "done"
        for which in job.stage.readers[run].keeps
    ]
    return sorted(kept, key=lambda each: each.epoch)


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
