"""Saliency of chosen images: pictures of gradients, and maps of Grad-CAM."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from runner.components.analyses.saliency import PROBABILITY, Saliency
from runner.components.models.classifier import output_names
from runner.core.records import AnalysisValue
from runner.engine.analyses.result import AnalysisInput, AnalysisResult, Part
from runner.engine.inspection.explanations import BATCH, explain, maps_layer
from runner.engine.inspection.guided import check_guided
from runner.engine.inspection.layers import check_maps, last_maps


def saliency(subject: AnalysisInput, asked: Saliency) -> AnalysisResult:
    """Return the pictures of each method, image by image.

    Raises:
        NotSuitable: when a method says nothing of the network.
        StageFailed: when an image that is named was left out.
        Interrupted: when asked to stop.
    """
    images, network = subject.images, subject.network.module
    chosen = _chosen(subject, asked)
    target = None if asked.target is None else images.classes.index(asked.target)
    first, _ = images.gather(chosen[:1])
    layer = maps_layer(network, first, asked.methods, asked.layer)
    found: dict[str, list[NDArray[Any]]] = {}
    done = 0
    for indices in torch.split(chosen, BATCH):
        inputs, _ = images.gather(indices)
        made = explain(network, inputs, asked.methods, target, layer)
        for name, array in made.arrays().items():
            found.setdefault(name, []).append(array)
        done += len(indices)
        subject.report(done, len(chosen))
    arrays = {name: np.concatenate(parts) for name, parts in found.items()}
    arrays["images"] = _pixels(subject, chosen)
    arrays["labels"] = images.labels_at(chosen).cpu().numpy()
    names = output_names(images.classes, arrays["probabilities"].shape[1])
    arrays["class_names"] = np.array(names)
    if layer is not None:
        arrays["layer"] = np.array([layer])
    return AnalysisResult(_values(subject, chosen, arrays), arrays)


def check_saliency(asked: Saliency) -> list[Part]:
    """Return what its methods ask of a network: ReLU modules, a layer of maps."""

    def maps(network: nn.Module, images: Tensor) -> None:
        layer = last_maps(network, images) if asked.layer is None else asked.layer
        check_maps(network, images, layer)

    parts: list[Part] = []
    if "guided_backpropagation" in asked.methods:
        parts.append(("methods", lambda network, images: check_guided(network)))
    if "grad_cam" in asked.methods:
        parts.append(("methods" if asked.layer is None else "layer", maps))
    return parts


def _chosen(subject: AnalysisInput, asked: Saliency) -> Tensor:
    """Return the numbers of the images."""
    if asked.images is not None:
        return subject.numbers_of(asked.images)
    split = subject.images.splits[asked.split]
    return split[torch.tensor(asked.chosen(len(split)))]


def _pixels(subject: AnalysisInput, chosen: Tensor) -> NDArray[Any]:
    """Return images as they are stored, (N, H, W, C) uint8."""
    channels, height, width = subject.images.shape
    stored = subject.images.stored(augment=True)
    rows = stored.index_select(0, chosen.to(stored.device)).cpu()
    pixels: NDArray[Any] = rows.view(len(chosen), height, width, channels).numpy()
    return pixels


def _values(
    subject: AnalysisInput, chosen: Tensor, arrays: dict[str, NDArray[Any]]
) -> tuple[AnalysisValue, ...]:
    names, classes = subject.images.index["names"], arrays["class_names"].tolist()
    return tuple(
        AnalysisValue(
            PROBABILITY,
            float(arrays["probabilities"][row, label]),
            {"image": names[index], "class": classes[label]},
        )
        for row, (index, label) in enumerate(
            zip(chosen.tolist(), arrays["classes"].tolist(), strict=True)
        )
    )
