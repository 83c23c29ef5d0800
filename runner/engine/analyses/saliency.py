"""Saliency of chosen images: pictures of gradients, and maps of Grad-CAM."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.components.analyses.saliency import PROBABILITY, Saliency
from runner.core.records import AnalysisValue
from runner.engine.analyses.result import AnalysisInput, AnalysisResult
from runner.engine.inspection.pictures import saliency_pictures
from runner.engine.inspection.saliency import (
    grad_cam,
    gradients,
    guided_backpropagation,
    last_maps,
    predict,
)


def saliency(subject: AnalysisInput, asked: Saliency) -> AnalysisResult:
    """Return the pictures of each method, image by image.

    Raises:
        NotSuitable: when a method says nothing of the network.
        Interrupted: when asked to stop.
    """
    images, network = subject.images, subject.network.module
    chosen = _chosen(subject, asked)
    found: dict[str, list[NDArray[Any]]] = {}
    for done, index in enumerate(torch.split(chosen, 1), start=1):
        inputs, _ = images.gather(index)
        predicted = predict(network, inputs)
        target = predicted.classes
        if asked.target is not None:
            target = torch.full_like(target, images.classes.index(asked.target))
        made = {
            "classes": target.cpu().numpy(),
            "probabilities": predicted.probabilities.cpu().numpy(),
            **_pictures(subject, asked, inputs, target),
        }
        for name, array in made.items():
            found.setdefault(name, []).append(array)
        subject.report(done, len(chosen))
    arrays = {name: np.concatenate(parts) for name, parts in found.items()}
    arrays["images"] = _pixels(subject, chosen)
    arrays["labels"] = images.labels_at(chosen).cpu().numpy()
    arrays["class_names"] = np.array(images.classes)
    if "grad_cam" in asked.methods:
        layer = asked.layer or last_maps(network, images.gather(chosen[:1])[0])
        arrays["layer"] = np.array([layer])
    return AnalysisResult(_values(subject, chosen, arrays), arrays)


def _chosen(subject: AnalysisInput, asked: Saliency) -> Tensor:
    """Return the indices of the images."""
    if asked.images is not None:
        return subject.numbers_of(asked.images)
    split = subject.images.splits[asked.split]
    count = min(asked.count, len(split))
    return split[torch.arange(count) * len(split) // count]


def _pictures(
    subject: AnalysisInput, asked: Saliency, inputs: Tensor, target: Tensor
) -> dict[str, NDArray[Any]]:
    """Return what each method makes of one image, with a first dimension of 1."""
    network = subject.network.module
    made: dict[str, NDArray[Any]] = {}
    for method in asked.methods:
        if method == "grad_cam":
            made[method] = grad_cam(network, inputs, target, asked.layer).cpu().numpy()
            continue
        function = gradients if method == "gradient" else guided_backpropagation
        (values,) = function(network, inputs, target).cpu().numpy()
        for name, picture in saliency_pictures(values).items():
            made[f"{method}_{name}"] = picture[None]
    return made


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
    names, classes = subject.images.index["names"], subject.images.classes
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
