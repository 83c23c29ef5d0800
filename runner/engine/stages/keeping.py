"""Keeping what an evaluation has computed beside its numbers: logits, with labels and image names.

Owns what is said where they cannot be kept. Where they lie and what they hold is said elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from runner.components.settings import METRIC_SPLITS
from runner.core.errors import DataError
from runner.core.records import Produced
from runner.core.stages import Evaluate
from runner.engine.context import Context
from runner.engine.data.samples import Samples
from runner.engine.job import StageJob
from runner.engine.kept_logits import KeptLogits, write_logits
from runner.engine.training.retention import with_room


def keep_logits(
    context: Context,
    job: StageJob[Evaluate],
    samples: Samples,
    logits: NDArray[np.float32],
    epoch: int,
) -> Sequence[Produced]:
    """Keep the logits of an evaluation as an artifact; on a full disk, states give way.

    Where the images cannot be named any more, nothing is kept, which is said.

    Raises:
        OSError: when they cannot be written.
        ClaimLost: when another process took the stage over.
    """
    stage = job.stage
    try:
        names = context.sources[stage.pixels_key].names
    except (KeyError, DataError) as error:
        context.on_note(f"logits of {stage.split} are not kept: {error}")
        return ()
    images = samples.splits[METRIC_SPLITS[stage.split]].numpy()
    digest = job.digest_of(stage.weights)
    assert digest is not None, "weights are compared with their digest before they are used"
    kept = KeptLogits(
        logits=logits,
        labels=samples.labels(METRIC_SPLITS[stage.split]),
        images=images,
        names=[names[index] for index in images],
        classes=samples.classes,
        split=stage.split,
        epoch=epoch,
        weights=digest,
    )
    path = context.artifact_path(stage.logits)
    return (with_room(context, lambda: write_logits(path, stage.logits, kept, job.check_claim)),)
