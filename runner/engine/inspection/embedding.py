"""Images by what a layer makes of them: its outputs, a map of them in two dimensions, neighbours.

scikit-learn computes; every draw has a seed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from runner.components.analyses.embedding import Embedding
from runner.engine.inspection.layers import NotSuitable, layer_named, layer_output

Floats = NDArray[np.float32]
Method = Literal["pca", "tsne"]

FIRST_COMPONENTS = 50
"""t-SNE looks at so many principal components: of more dimensions it sees mostly noise."""

PERPLEXITY = 30.0
"""About so many neighbours count for t-SNE; fewer where there are few images."""


@dataclass(frozen=True, slots=True)
class EmbeddingMap:
    """Images as points in the plane.

    Attributes:
        points: (N, 2) float32.
        explained: share of the variance along each axis, of PCA; () of t-SNE.
    """

    points: Floats
    explained: tuple[float, ...] = ()


def layer_outputs(
    network: nn.Module, batches: Iterable[Tensor], layer: str | None = None
) -> tuple[str, Floats]:
    """Return the name of a layer and what it makes of images.

    Args:
        network: left in evaluation mode.
        batches: normalised images (B, C, H, W).
        layer: whose output is taken; when not given, the input of the last linear layer.

    Returns:
        The name, and outputs (N, D) float32: of maps (B, C, H, W), the mean over their places.

    Raises:
        UnknownLayer: for a layer that the network has not.
        NotSuitable: when its output is no tensor with a row for each image, or not finite.
    """
    name = outputs_layer(network, layer)
    rows = [
        _rows(layer_output(network, images, name, layer is None), len(images), name).float().cpu()
        for images in batches
    ]
    if not rows:
        raise NotSuitable("there are no images")
    outputs: Floats = torch.cat(rows).numpy()
    if not np.isfinite(outputs).all():
        raise NotSuitable(f"the output of {name} is not finite")
    return name, outputs


def outputs_layer(network: nn.Module, layer: str | None = None) -> str:
    """Return the name of the layer that is looked at; see :func:`layer_outputs`."""
    if layer is not None:
        layer_named(network, layer)
        return layer
    modules = network.named_modules()
    names: list[str] = [name for name, each in modules if isinstance(each, nn.Linear)]
    if not names:
        raise NotSuitable("the network has no linear layer: name the layer")
    return names[-1]


def check_outputs(network: nn.Module, images: Tensor, layer: str | None = None) -> None:
    """Check that a layer gives a row of at least two numbers for each image.

    Args:
        network: from images to scores; it may be on the meta device.
        images: at least two (B, C, H, W).
        layer: as of :func:`layer_outputs`.

    Raises:
        UnknownLayer: for a layer that the network has not.
        NotSuitable: when it does not.
    """
    name = outputs_layer(network, layer)
    rows = _rows(layer_output(network, images, name, layer is None), len(images), name)
    if rows.shape[1] < 2:
        raise NotSuitable(f"{name} gives one number of each image, and a map has two directions")


def _rows(output: Any, count: int, name: str) -> Tensor:
    """Return what a layer gave as a row for each image: of maps, their means."""
    if not isinstance(output, Tensor) or output.ndim < 2 or len(output) != count:
        raise NotSuitable(f"{name} gives no tensor with a row for each image")
    return (output.mean((2, 3)) if output.ndim == 4 else output).flatten(1)


def embedding_map(outputs: Floats, method: Method, seed: int = 0) -> EmbeddingMap:
    """Return images as points, near each other where a layer's outputs are alike.

    Args:
        outputs: (N, D).
        method: ``pca`` keeps distances as far as a plane can, ``tsne`` keeps neighbours (van der
            Maaten and Hinton, 2008): the distance between groups then means little.
        seed: of its draws.

    Raises:
        NotSuitable: for fewer than four images, or outputs that are all the same.
    """
    from sklearn.decomposition import PCA

    if len(outputs) < Embedding.FEWEST or outputs.shape[1] < 2:
        raise NotSuitable(f"a map needs {Embedding.FEWEST} images and two numbers of each")
    if not np.ptp(outputs, axis=0).any():
        raise NotSuitable("the layer gives the same for every image")
    wanted = 2 if method == "pca" else min(FIRST_COMPONENTS, *outputs.shape)
    pca = PCA(wanted, random_state=seed).fit(outputs.astype(np.float64))
    components = pca.transform(outputs.astype(np.float64))
    if method == "pca":
        shares = tuple(float(each) for each in pca.explained_variance_ratio_)
        return EmbeddingMap(components.astype(np.float32), shares)
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(outputs) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    return EmbeddingMap(tsne.fit_transform(components).astype(np.float32))


def nearest_images(outputs: Floats, count: int) -> tuple[NDArray[np.int64], Floats]:
    """Return for each image those whose outputs point in the most similar direction.

    Args:
        outputs: (N, D).
        count: how many, fewer where there are fewer.

    Returns:
        Their indices (N, K), the nearest first, itself left out, and their cosine distances: 0 of
        the same direction, 2 of the opposite.
    """
    return nearest_to(outputs, outputs, count, np.arange(len(outputs)))


def nearest_to(
    looked_for: Floats, outputs: Floats, count: int, itself: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], Floats]:
    """Return for each image those of others whose outputs point in the most similar direction.

    Args:
        looked_for: (Q, D).
        outputs: of the others (N, D).
        count: how many, fewer where there are fewer.
        itself: which of the others each is itself (Q,), and is left out; None where none is.

    Returns:
        As :func:`nearest_images`, (Q, K).
    """
    from sklearn.neighbors import NearestNeighbors

    wanted = min(count + (itself is not None), len(outputs))
    search = NearestNeighbors(n_neighbors=wanted, metric="cosine", algorithm="brute").fit(outputs)
    distances, indices = search.kneighbors(looked_for)
    if itself is None:
        return indices, distances.astype(np.float32)
    unwanted = indices == itself[:, None]
    unwanted[~unwanted.any(1), -1] = True  # equal images may have crowded it out
    shape = (len(looked_for), wanted - 1)
    kept = ~unwanted
    return indices[kept].reshape(shape), distances[kept].reshape(shape).astype(np.float32)
