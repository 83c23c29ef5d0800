"""A trained network looked at, for images that are given now: saliency, and what a layer gives.

Nothing is kept. Knows neither files of images nor where the network came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from runner.components.analyses.saliency import Saliency
from runner.engine.inference.classifying import TrainedClassifier
from runner.engine.inspection.embedding import layer_outputs
from runner.engine.inspection.explanations import BATCH, explain, maps_layer

Pixels = NDArray[np.uint8]


def explained_images(
    classifier: TrainedClassifier, pixels: Pixels, asked: Saliency
) -> dict[str, NDArray[Any]]:
    """Return the arrays that the analysis leaves, of images that it is not about.

    Args:
        classifier: the network.
        pixels: of the images (N, H, W, C).
        asked: methods, class and layer.

    Raises:
        UnknownLayer: for a layer that the network has not.
        NotSuitable: when a method says nothing of the network, or the result is not finite.
    """
    network, names = classifier.network.module, classifier.model.outputs
    target = None if asked.target is None else names.index(asked.target)
    parts: dict[str, list[NDArray[Any]]] = {}
    with classifier.in_full():
        layer = maps_layer(network, classifier.inputs(pixels[:1]), asked.methods, asked.layer)
        for some in _in_batches(pixels, BATCH):
            made = explain(network, classifier.inputs(some), asked.methods, target, layer)
            for name, array in made.arrays().items():
                parts.setdefault(name, []).append(array)
    arrays = {name: np.concatenate(each) for name, each in parts.items()}
    named = {} if layer is None else {"layer": np.array([layer])}
    return {**arrays, "images": pixels, "class_names": np.array(names), **named}


def outputs_of(
    classifier: TrainedClassifier,
    numbers: Sequence[int],
    read: Callable[[Sequence[int]], Pixels],
    layer: str | None,
    on_done: Callable[[int, int], None] = lambda *_: None,
) -> tuple[str, NDArray[np.float32]]:
    """Return what a layer makes of images that are read in batches; see :func:`layer_outputs`.

    Args:
        classifier: the network.
        numbers: of the images.
        read: gives the pixels of some (B, H, W, C) by their numbers.
        layer: whose output; when not given, the input of the last linear layer.
        on_done: hears how many are done, of how many; what it raises ends the work.

    Raises:
        UnknownLayer: for a layer that the network has not.
        NotSuitable: when it gives no row for each image.
    """

    def batches() -> Iterable[Tensor]:
        for start in range(0, len(numbers), classifier.batch_size):
            some = numbers[start : start + classifier.batch_size]
            yield classifier.inputs(read(some))
            on_done(start + len(some), len(numbers))

    with classifier.in_full():
        return layer_outputs(classifier.network.module, batches(), layer)


def _in_batches(pixels: Pixels, size: int) -> Iterator[Pixels]:
    return (pixels[start : start + size] for start in range(0, len(pixels), size))
