"""Changed images of a split: an artifact that all runs, analyses and databases share.

Owns its layout, ``changed.npy`` (N, H · W · C) uint8 and ``index.json``. It is no stage of a plan:
making it takes about what one small network takes to look at it, and nothing that is finished needs
it. Whoever needs it first makes it, and it is kept under the cache's limit as frozen features are.
What is drawn depends on the seed, the draw and the image, of augmentations on its place in the
split, and on no device. Knows no network.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.artifacts.array_folder import DAMAGED, NOT_THERE, array_folder, is_whole, open_or_make
from runner.artifacts.atomic import is_being_written
from runner.artifacts.folder import INDEX
from runner.artifacts.hashes import file_digest
from runner.components.augmentations.pipeline import Pipeline
from runner.components.component import keyed_text
from runner.components.data.splitting import Split
from runner.core.artifacts import changed_name
from runner.core.errors import is_full_disk
from runner.core.keys import content_key
from runner.core.moments import reached
from runner.engine.context import Context
from runner.engine.data.arrays import allocate, map_array
from runner.engine.data.augment import Augmenter
from runner.engine.data.samples import Images, evaluation_batch_size

ARRAY = "changed.npy"
AGAIN = "changed images are made again"
DIGITS = 64
"""Of a SHA-256, in hexadecimal."""

PAUSE = 0.1
LONGEST_WAIT = 600.0
"""Seconds between two looks whether another process has made them, and until it counts as stuck."""

FORMAT = 1
"""Raised when equal steps, seeds and draws make other images, or their layout changes: images of
another format are not used."""

BATCH = 256
"""Images whose changes are drawn together: what augmentations draw of an image depends on it."""


@dataclass(frozen=True, slots=True)
class ChangedImages:
    """A split of images, changed.

    Attributes:
        images: of the data set.
        split: which of them.
        pipeline: what is done to each.
        seed: of what is drawn.
        draw: which draw, from 1.
    """

    images: Images
    split: Split
    pipeline: Pipeline
    seed: int
    draw: int

    def batches(
        self, context: Context, alive: Callable[[], None]
    ) -> Generator[tuple[Tensor, Tensor]]:
        """Yield the images in order as a network takes them, and their labels.

        Batches are as small as those of an evaluation.

        Args:
            context: of the stage.
            alive: called after each batch that is changed, and while another process makes them;
                what it raises leaves nothing behind.

        Raises:
            OSError: when they cannot be read or written, but for a full disk.
        """
        images, indices = self.images, self.images.splits[self.split]
        size = min(BATCH, evaluation_batch_size(images.shape, images.device))
        kept = self._kept(context, alive)
        every = self._changed(alive) if kept is None else torch.split(kept, BATCH)
        for rows, their in zip(every, torch.split(indices, BATCH), strict=True):
            for some, mine in zip(torch.split(rows, size), torch.split(their, size), strict=True):
                changed = images.as_images(some.to(images.device))
                yield images.normalised(changed), images.labels_at(mine)

    @property
    def name(self) -> str:
        """The name of the artifact: of the images, what is done to them, and what draws."""
        rows = hashlib.sha256(self.images.splits[self.split].numpy().tobytes()).hexdigest()
        decides = {
            "format": FORMAT,
            "batch": BATCH,
            "torch": torch.__version__,  # its generators, and how it rounds
            "images": self.images.digest,
            "rows": rows,
            "steps": keyed_text(self.pipeline),
            "mean": self._mean,
            "seed": self.seed,
            "draw": self.draw,
        }
        return changed_name(content_key("changed", decides))

    @property
    def _mean(self) -> list[float]:
        return list(self.images.settings.normalization()[0])

    def _kept(self, context: Context, alive: Callable[[], None]) -> Tensor | None:
        """Return the rows (N, H · W · C) uint8 as they are kept, None where there is no room."""
        folder = context.artifact_path(self.name)
        _wait_for_others(folder, alive)
        shape = (len(self.images.splits[self.split]), int(np.prod(self.images.shape)))
        cache = None if (folder / INDEX).is_file() else context.cache
        if cache is not None and not cache.make_room(folder, int(np.prod(shape))):
            return None
        try:
            return open_or_make(
                context.on_note,
                AGAIN,
                lambda: _fault(folder),
                lambda: self._make(folder, shape, alive),
                lambda: torch.from_numpy(map_array(folder / ARRAY)),
                expected=NOT_THERE,
            )
        except OSError as error:
            if not is_full_disk(error):
                raise
            context.on_note("the disk is full: changed images are not kept for other runs")
            return None

    def _make(self, folder: Path, shape: tuple[int, int], alive: Callable[[], None]) -> None:
        with array_folder(folder, ARRAY) as partial:
            _write_index(partial, "0" * DIGITS)  # its room, before any work
            rows: NDArray[Any] = allocate(partial / ARRAY, shape, np.uint8)
            start = 0
            for changed in self._changed(alive):
                rows[start : start + len(changed)] = changed.cpu().numpy()
                start += len(changed)
            del rows
            _write_index(partial, file_digest(partial / ARRAY))
            reached("changed images written, not renamed")

    def _changed(self, alive: Callable[[], None]) -> Iterator[Tensor]:
        """Yield the rows of changed images, uint8 on the device, as they are drawn together."""
        images = self.images
        augmenter, rows = (
            Augmenter(self.pipeline, self.seed, self._mean),
            images.stored(augment=True),
        )
        for step, indices in enumerate(torch.split(images.splits[self.split], BATCH), start=1):
            some = rows.index_select(0, indices.to(rows.device)).to(images.device)
            changed = augmenter(images.as_images(some), self.draw, step, indices.tolist())
            yield changed.permute(0, 2, 3, 1).flatten(1)
            alive()


def _wait_for_others(folder: Path, alive: Callable[[], None]) -> None:
    """Wait while another process makes the same images, which takes no longer than making them."""
    last = time.monotonic() + LONGEST_WAIT
    while is_being_written(folder) and not (folder / INDEX).is_file() and time.monotonic() < last:
        alive()
        time.sleep(PAUSE)


def _write_index(folder: Path, digest: str) -> None:
    """Write the index; over one that is there in the same room, so that the disk cannot be full."""
    path = folder / INDEX
    with path.open("r+b" if path.exists() else "xb") as file:
        file.write(json.dumps({"sha256": digest}).encode())


def _fault(folder: Path) -> str:
    """Return why the images in ``folder`` cannot be used, or ""."""
    try:
        os.utime(folder / INDEX)  # before the checksum: others spare what is in use
        index = json.loads((folder / INDEX).read_text())
        (folder / ARRAY).stat()
    except (OSError, ValueError):
        return NOT_THERE
    digest = index.get("sha256") if isinstance(index, dict) else None
    return "" if is_whole(folder / ARRAY, digest, file_digest) else DAMAGED
