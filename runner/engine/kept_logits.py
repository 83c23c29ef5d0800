"""Logits of the images of a split under weights that a run keeps: as they lie in `.runner/`.

Owns what such an artifact holds and when it can be used: only while the weights are those that it
was computed with. Imports no torch, so that whoever looks at predictions need not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.artifacts.arrays import read_arrays, write_arrays
from runner.core.records import Produced


@dataclass(frozen=True, slots=True)
class KeptLogits:
    """What a network says of the images of a split, in the order of the split.

    Attributes:
        logits: (N, classes) float32.
        labels: (N,) int64.
        images: their rows in the prepared pixels, (N,) int64.
        names: of the images.
        classes: names of the classes.
        split: ``train_eval``, ``val`` or ``test``.
        epoch: whose weights they are.
        weights: digest of the weights.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    images: NDArray[np.int64]
    names: Sequence[str]
    classes: Sequence[str]
    split: str
    epoch: int
    weights: str


def logits_bytes(num_images: float, outputs: int, name_length: float) -> int:
    """Return about how many bytes such an artifact takes.

    Args:
        num_images: of the split.
        outputs: of the network for one image.
        name_length: mean characters of the names of images.
    """
    label, row, punctuation = 8, 8, 4  # JSON puts each name in quotes, and a comma and space behind
    headers, digests = 3 * 128, 600
    image = 4 * outputs + label + row + name_length + punctuation
    return round(headers + digests + num_images * image) if num_images else 0


def write_logits(
    path: Path, name: str, kept: KeptLogits, check: Callable[[], None] = lambda: None
) -> Produced:
    """Write logits as an artifact.

    Args:
        path: where it lies.
        name: of the artifact.
        kept: what is written.
        check: called before it takes its place; what it raises leaves what was there.

    Raises:
        OSError: when the disk is full; nothing is left.
    """
    arrays: dict[str, NDArray[Any]] = {
        "logits": kept.logits,
        "labels": kept.labels,
        "images": kept.images,
    }
    about = {
        "names": list(kept.names),
        "classes": list(kept.classes),
        "split": kept.split,
        "epoch": kept.epoch,
        "weights": kept.weights,
    }
    return Produced(name, *write_arrays(path, arrays, about, check))


def whole_logits(path: Path, digest: str | None, weights: str | None = None) -> KeptLogits | None:
    """Return logits that were kept, or None where they are gone, damaged or foreign.

    Args:
        path: where they lie.
        digest: that is recorded of them.
        weights: digest that is recorded of the weights: logits of others are foreign.
    """
    found = read_arrays(path, digest)
    if found is None or (weights is not None and found.about["weights"] != weights):
        return None
    values: dict[str, Any] = {**found.arrays, **found.about}
    return KeptLogits(**values)
