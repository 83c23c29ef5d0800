"""Logits that the evaluations of a training have computed, held until it ends.

Owns which epochs they are held of, within `HELD_BYTES` on the host: what is not held is computed
once more from the weights. On its device a training holds those of one epoch, as long as this is
evaluated. What becomes of them is not decided here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from runner.components.models.classifier import num_outputs
from runner.components.settings import METRIC_SPLITS, Settings, splits_with_logits
from runner.core.stages.training import HELD_BYTES
from runner.engine.data.samples import Samples
from runner.engine.stages.evaluate import Logits


class HeldLogits:
    """Logits of kept epochs, by split: of an epoch those of all splits, or none."""

    def __init__(self) -> None:
        self._epochs: dict[int, Mapping[str, NDArray[np.float32]]] = {}

    def __contains__(self, epoch: object) -> bool:
        return epoch in self._epochs

    def hold(self, epoch: int, caught: Mapping[str, Logits], wanted: Collection[int]) -> None:
        """Hold those of an epoch where it is wanted and they fit; drop what nobody keeps any more.

        They come from the device only then, when its evaluation has been waited for in any case.

        Args:
            epoch: that was evaluated.
            caught: its logits by split; {} where they are too many.
            wanted: the epochs whose weights are kept, also where these are written.
        """
        self._epochs = {each: logits for each, logits in self._epochs.items() if each in wanted}
        if not caught or epoch not in wanted:
            return
        logits = {split: each.whole() for split, each in caught.items()}
        every = (*self._epochs.values(), logits)
        if sum(each.nbytes for splits in every for each in splits.values()) <= HELD_BYTES:
            self._epochs[epoch] = logits

    def take(self, epoch: int) -> Mapping[str, NDArray[np.float32]]:
        """Return those of an epoch, empty where they are not held, and drop them."""
        return self._epochs.pop(epoch, {})


def catching(settings: Settings, samples: Samples) -> dict[str, Logits]:
    """Return what takes the logits of an epoch, by split, on the device; {} where too many.

    Too many are those that would not fit if nothing else were held.
    """
    splits = splits_with_logits(settings)
    images = sum(len(samples.splits[METRIC_SPLITS[split]]) for split in splits)
    if 4 * images * num_outputs(settings.model, len(samples.classes)) > HELD_BYTES:
        return {}
    return {split: Logits(samples.device) for split in splits}
