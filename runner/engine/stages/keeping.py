"""Keeping what an evaluation has computed beside its numbers: logits, with labels and image names.

Owns what of the data stands beside the logits, and that numbers do without them where the disk is
full. Where they lie and what they hold is said elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.components.models.classifier import output_names
from runner.components.settings import METRIC_SPLITS
from runner.core.artifacts import logits_name
from runner.core.errors import is_full_disk
from runner.core.reader import KeptWeights
from runner.core.records import Produced
from runner.engine.context import Context
from runner.engine.data.samples import Samples
from runner.engine.kept_logits import KeptLogits, write_logits
from runner.engine.training.retention import with_room


@dataclass(frozen=True, slots=True)
class RunWeights:
    """Weights that a run keeps.

    Attributes:
        run: what trainings call the run.
        which: of its weights.
        digest: of the weights, as it is recorded.
        epoch: of the weights.
    """

    run: str
    which: KeptWeights
    digest: str
    epoch: int


def described_logits(
    samples: Samples, split: str, logits: NDArray[np.float32], weights: RunWeights
) -> KeptLogits:
    """Return logits with what of the data stands beside them; see :func:`keep_logits`."""
    images = samples.splits[METRIC_SPLITS[split]].numpy()
    names = samples.index["names"]  # of the rows that were kept: others may be left out
    return KeptLogits(
        logits=logits,
        labels=samples.labels(METRIC_SPLITS[split]),
        images=images,
        names=[names[index] for index in images],
        classes=output_names(samples.classes, logits.shape[1]),
        split=split,
        epoch=weights.epoch,
        weights=weights.digest,
    )


def keep_logits(
    context: Context,
    samples: Samples,
    split: str,
    logits: NDArray[np.float32],
    weights: RunWeights,
    check: Callable[[], None],
) -> Sequence[Produced]:
    """Keep logits as an artifact; on a full disk, states give way.

    Where they do not fit even then, nothing is kept, which is said.

    Args:
        context: of the stage.
        samples: the data.
        split: ``train_eval``, ``val`` or ``test``.
        logits: (N, classes) in the order of the split.
        weights: whose logits they are.
        check: called before they take their place; what it raises leaves what was there.

    Raises:
        OSError: when they cannot be written, but for a full disk.
        ClaimLost: when another process took the stage over.
    """
    kept = described_logits(samples, split, logits, weights)
    name = logits_name(weights.run, weights.which, split)
    path = context.artifact_path(name)
    try:
        return (with_room(context, lambda: write_logits(path, name, kept, check)),)
    except OSError as error:
        if not is_full_disk(error):
            raise
        context.on_note(f"the disk is full: logits of {split} images are not kept, all else is")
        return ()
