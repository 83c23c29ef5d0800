"""Changed images of a split, made once for all networks that are looked at one after the other.

What is kept belongs to the images, and goes with them. What is drawn depends on the seed, the draw
and the place of an image in its split alone, on every device. Knows no network.
"""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from runner.components.augmentations.pipeline import Pipeline
from runner.components.component import keyed_text
from runner.components.data.splitting import Split
from runner.engine.data.augment import Augmenter
from runner.engine.data.samples import Images

BATCH = 256
"""Images whose changes are drawn together: what is drawn of an image depends on it."""

KEPT_BYTES = 1 << 28
"""Bytes of changed images that are kept; what comes after is made again for each network."""

Key = tuple[str, str, int, int, int]

_KEPT: WeakKeyDictionary[Images, dict[Key, Tensor]] = WeakKeyDictionary()


def changed_images(
    images: Images, split: Split, pipeline: Pipeline, seed: int, draw: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the images of a split in order, changed, as the network takes them, with their labels.

    Args:
        images: of the data set.
        split: which of them.
        pipeline: what is done to each.
        seed: of what is drawn.
        draw: which draw, from 1.
    """
    kept = _KEPT.setdefault(images, {})
    mean, _ = images.settings.normalization()
    augmenter = Augmenter(pipeline, seed, mean)
    steps, rows = keyed_text(pipeline), images.stored(augment=True)
    for step, indices in enumerate(torch.split(images.splits[split], BATCH), start=1):
        key = (split, steps, seed, draw, step)
        changed = kept.get(key)
        if changed is None:
            some = rows.index_select(0, indices.to(rows.device)).to(images.device)
            changed = augmenter(images.as_images(some), draw, step)
            if sum(each.nbytes for each in kept.values()) + changed.nbytes <= KEPT_BYTES:
                kept[key] = changed
        yield images.normalised(changed), images.labels_at(indices)
