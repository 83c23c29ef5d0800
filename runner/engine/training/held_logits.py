"""Logits that the evaluations of a training have computed, held until it ends.

Owns which epochs they are held of, and how much memory they may take: what is not held is computed
once more from the weights. What becomes of them is not decided here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

HELD_BYTES = 1 << 27
"""The most that a training holds on the host. Without a limit, that would be 4 bytes for each
image, class and epoch that a reader keeps: 0.4 MB for 10,000 images of 10 classes, 400 MB for
101,000 images of 1,000. On its device it holds those of one epoch, as long as this is evaluated."""


class HeldLogits:
    """Logits of kept epochs, by split: of an epoch those of all splits, or none."""

    def __init__(self) -> None:
        self._epochs: dict[int, Mapping[str, NDArray[np.float32]]] = {}

    def __contains__(self, epoch: object) -> bool:
        return epoch in self._epochs

    def keep_only(self, wanted: Collection[int]) -> None:
        """Drop those of epochs that nobody keeps any more."""
        self._epochs = {epoch: each for epoch, each in self._epochs.items() if epoch in wanted}

    def hold(self, epoch: int, logits: Mapping[str, NDArray[np.float32]]) -> None:
        """Hold those of an epoch, each (N, classes), where they fit."""
        every = (*self._epochs.values(), logits)
        if sum(each.nbytes for splits in every for each in splits.values()) <= HELD_BYTES:
            self._epochs[epoch] = logits

    def take(self, epoch: int) -> Mapping[str, NDArray[np.float32]]:
        """Return those of an epoch, empty where they are not held, and drop them."""
        return self._epochs.pop(epoch, {})


def may_be_held(values: int) -> bool:
    """Return whether so many logits, of one epoch, would fit if nothing else were held."""
    return 4 * values <= HELD_BYTES
