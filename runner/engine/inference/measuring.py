"""The measures of a trained network on labelled images, and which of them it gets right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from runner.components.measures import MEASURES
from runner.engine.inference.classifying import TrainedClassifier
from runner.engine.inference.image_files import FileImage, in_batches
from runner.engine.tally import values_of_logits


class Measuring:
    """A pass over labelled images, of files or arrays.

    Attributes:
        labels: class indices of the images that could be read.
        right: of those that were predicted right.
        unread: the other images, and why, in order.
    """

    def __init__(self, classifier: TrainedClassifier, leaves_out: bool) -> None:
        """Begin a pass.

        Args:
            classifier: what is measured.
            leaves_out: whether images that cannot be read are left out. Else nothing is measured
                once there is one: the others are read, so that all that are wrong can be named.
        """
        self._classifier, self._leaves_out = classifier, leaves_out
        classes = len(classifier.model.classes)
        self._measures = [each for each in MEASURES if classes >= each.least_classes]
        self._logits: list[NDArray[np.float32]] = []
        self.labels: list[int] = []
        self.right: list[int] = []
        self.unread: list[FileImage] = []

    def batches(self, found: Iterable[FileImage], labels: Sequence[int]) -> Iterator[int]:
        """Measure; yield after each batch how many images are done.

        Args:
            found: the images, as the data of the run was prepared.
            labels: class index of each, in the order of the network's outputs.
        """
        done = 0
        for batch in in_batches(found, self._classifier.batch_size):
            theirs = labels[done : done + len(batch)]
            kept = [index for index, each in enumerate(batch) if each.pixels is not None]
            pixels = [each.pixels for each in batch if each.pixels is not None]
            self.unread += [each for each in batch if each.pixels is None]
            if pixels and (self._leaves_out or not self.unread):
                given = torch.tensor([theirs[index] for index in kept])
                logits = self._classifier.logits(np.stack(pixels))
                self._logits.append(logits.numpy())
                self.labels += given.tolist()
                self.right += given[logits.argmax(1) == given].tolist()
            done += len(batch)
            yield done

    def values(self) -> dict[str, float]:
        """Return the measures by name; there must have been an image.

        Those that say nothing of these images are left out, as AUROC of images of one class.
        """
        logits, labels = np.concatenate(self._logits), np.array(self.labels, dtype=np.int64)
        found = values_of_logits(logits, labels, self._measures)
        return {name: value for name, value in found.items() if math.isfinite(value)}
