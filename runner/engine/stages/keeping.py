"""Keeping what an evaluation has computed beside its numbers: logits, with labels and image names.

Owns what of the data stands beside the logits. Where they lie and what they hold is said elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.components.settings import METRIC_SPLITS
from runner.core.artifacts import logits_name
from runner.core.records import Produced
from runner.core.stages import Analyse, Evaluate
from runner.engine.context import Context
from runner.engine.data.samples import Samples
from runner.engine.job import StageJob
from runner.engine.kept_logits import KeptLogits, write_logits
from runner.engine.training.retention import with_room


@dataclass(frozen=True, slots=True)
class SplitLogits:
    """What kept weights gave.

    Attributes:
        samples: the data.
        split: ``train_eval``, ``val`` or ``test``.
        logits: (N, classes) float32, in the order of the split.
        epoch: of the weights.
    """

    samples: Samples
    split: str
    logits: NDArray[np.float32]
    epoch: int


def keep_logits(
    context: Context, job: StageJob[Evaluate | Analyse], seen: SplitLogits
) -> Sequence[Produced]:
    """Keep logits as an artifact; on a full disk, states give way.

    Raises:
        OSError: when they cannot be written.
        ClaimLost: when another process took the stage over.
    """
    stage, split = job.stage, METRIC_SPLITS[seen.split]
    images = seen.samples.splits[split].numpy()
    names = seen.samples.index["names"]  # of the rows that were kept: others may be left out
    digest = job.digest_of(stage.weights)
    assert digest is not None, "weights are compared with their digest before they are used"
    kept = KeptLogits(
        logits=seen.logits,
        labels=seen.samples.labels(split),
        images=images,
        names=[names[index] for index in images],
        classes=seen.samples.classes,
        split=seen.split,
        epoch=seen.epoch,
        weights=digest,
    )
    name = logits_name(stage.solo_key, stage.epoch, seen.split)
    path = context.artifact_path(name)
    return (with_room(context, lambda: write_logits(path, name, kept, job.check_claim)),)
