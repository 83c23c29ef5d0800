"""Images explained: what a network says of them, and the pictures of each method of saliency.

Owns the names of the arrays that are made. How each is computed is ``saliency``'s, how it is scaled
``pictures``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from runner.components.analyses.saliency import SaliencyMethod
from runner.engine.inspection.layers import last_maps
from runner.engine.inspection.pictures import saliency_pictures
from runner.engine.inspection.saliency import (
    grad_cam,
    gradients,
    guided_backpropagation,
    predict,
)

BATCH = 8
"""Images that are explained at a time: a gradient keeps what every layer gave for them."""


@dataclass(frozen=True, slots=True)
class Explained:
    """What is said of images.

    Attributes:
        classes: whose score is explained (N,) int64.
        probabilities: of all classes (N, classes) float32.
        pictures: ``METHOD_color``, ``_gray``, ``_positive`` and ``_negative`` of gradients, and
            ``grad_cam``, each with a first dimension of N.
    """

    classes: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    pictures: dict[str, NDArray[Any]]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all by name, as the analysis leaves them."""
        return {
            "classes": self.classes,
            "probabilities": self.probabilities,
            **self.pictures,
        }


def maps_layer(
    network: nn.Module, images: Tensor, methods: Sequence[SaliencyMethod], layer: str | None
) -> str | None:
    """Return the layer that Grad-CAM looks at, None where it is not wanted.

    Raises:
        NotSuitable: when none is named and none found.
    """
    if "grad_cam" not in methods:
        return None
    return last_maps(network, images) if layer is None else layer


def explain(
    network: nn.Module,
    images: Tensor,
    methods: Sequence[SaliencyMethod],
    target: int | None = None,
    layer: str | None = None,
) -> Explained:
    """Explain what a network says of images.

    Args:
        network: from images to scores.
        images: normalised (B, C, H, W).
        methods: which pictures are made.
        target: the class whose score is explained, in each image the predicted one when not given.
        layer: of Grad-CAM.

    Raises:
        UnknownLayer: for a layer that the network has not.
        NotSuitable: when a method says nothing of the network, or the result is not finite.
    """
    predicted = predict(network, images)
    classes = predicted.classes if target is None else predicted.classes.new_full((), target)
    classes = classes.expand(len(images))
    pictures: dict[str, NDArray[Any]] = {}
    for method in methods:
        pictures.update(_pictures(network, images, classes, method, layer))
    probabilities = predicted.probabilities.cpu().numpy()
    return Explained(classes.cpu().numpy().copy(), probabilities, pictures)


def _pictures(
    network: nn.Module, images: Tensor, classes: Tensor, method: SaliencyMethod, layer: str | None
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the pictures of a method by name."""
    if method == "grad_cam":
        yield method, grad_cam(network, images, classes, layer).cpu().numpy()
        return
    function = gradients if method == "gradient" else guided_backpropagation
    found = function(network, images, classes).cpu().numpy()
    each = [saliency_pictures(values) for values in found]
    for name in each[0]:
        yield f"{method}_{name}", np.stack([made[name] for made in each])
