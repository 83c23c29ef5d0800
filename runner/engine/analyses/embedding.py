"""Embedding: a layer's outputs of a split, mapped, with the nearest images of each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from runner.components.analyses.embedding import NEIGHBOURS, Embedding
from runner.core.records import AnalysisValue
from runner.core.spacing import evenly_spaced
from runner.engine.analyses.result import AnalysisInput, AnalysisResult, Part
from runner.engine.data.samples import evaluation_batch_size
from runner.engine.inspection.embedding import (
    check_outputs,
    embedding_map,
    layer_outputs,
    nearest_images,
)


def embedding(subject: AnalysisInput, asked: Embedding) -> AnalysisResult:
    """Return the map, the neighbours, and how often the nearest is of the same class.

    Raises:
        NotSuitable: when the layer gives nothing that can be mapped.
        Interrupted: when asked to stop.
    """
    split = subject.images.splits[asked.split]
    places = torch.tensor(evenly_spaced(len(split), asked.images))
    chosen = split[places]
    batches = _batches(subject, chosen, asked.split)
    layer, outputs = layer_outputs(subject.network.module, batches, asked.layer)
    found = embedding_map(outputs, asked.method, asked.seed)
    nearest, distances = nearest_images(outputs, asked.neighbours)
    labels = subject.images.labels_at(chosen).cpu().numpy()
    share = float((labels[nearest[:, 0]] == labels).mean())
    what = layer if asked.layer else f"the input of {layer}"
    arrays = {
        "points": found.points,
        "images": places.numpy(),
        "labels": labels,
        "nearest": nearest,
        "distances": distances,
        "explained": np.array(found.explained),
        "layer": np.array([what]),
        "class_names": np.array(subject.images.classes),
    }
    return AnalysisResult((AnalysisValue(NEIGHBOURS, share, {}),), arrays)


def check_embedding(asked: Embedding) -> list[Part]:
    """Return what it asks of a network: a layer whose outputs can be mapped."""
    return [("layer", lambda network, images: check_outputs(network, images, asked.layer))]


def _batches(subject: AnalysisInput, chosen: Tensor, split: str) -> Iterator[Tensor]:
    size = evaluation_batch_size(subject.images.shape, subject.images.device)
    done = 0
    for indices in torch.split(chosen, size):
        inputs, _ = subject.images.gather(indices)
        yield inputs
        done += len(indices)
        subject.report(done, len(chosen), split)
