"""The features stage: a frozen prefix's output for every image, computed once.

Owns the layout, ``features.npy`` (N, …) float32 and ``index.json``. Where training mirrors images
at random, the mirrored images' features follow, (2N, …). Features that are gone, damaged or made
under other numerics are computed again by whoever needs them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from runner.artifacts.array_folder import (
    DAMAGED,
    NOT_THERE,
    array_folder,
    is_whole,
    open_or_make,
)
from runner.artifacts.exchange import share
from runner.artifacts.folder import INDEX
from runner.artifacts.hashes import file_digest
from runner.components.resolved import typed_settings
from runner.core.errors import Interrupted
from runner.core.moments import reached
from runner.core.prefix import FrozenPrefix
from runner.core.records import Produced
from runner.core.stages import Evaluate, ExtractFeatures, Train
from runner.engine.arithmetic import in_format
from runner.engine.context import Context, Outcome, Progress
from runner.engine.data.arrays import allocate
from runner.engine.data.feature_samples import ARRAY, Features, FeaturesWhereEvaluated, Opened
from runner.engine.data.samples import Images, Samples, evaluation_batch_size
from runner.engine.fetching import fetched
from runner.engine.network.build import Network
from runner.engine.network.split import SplitNetwork
from runner.engine.stages.evaluate import autocast

AGAIN = "frozen features are computed again"


def features_stage(
    context: Context, images: Images, network: Network, stage: ExtractFeatures
) -> Outcome:
    """Compute the features, unless whole ones are there already.

    Raises:
        Interrupted: when asked to stop; nothing is left behind.
        OSError: when the disk is full.
    """
    name = stage.prefix.name
    folder = context.artifact_path(name)
    precision = typed_settings(stage.settings).train.precision

    def ended() -> Outcome:
        index = json.loads((folder / INDEX).read_text())
        size = (folder / ARRAY).stat().st_size
        values = {"images": index["shape"][0], "cut": index["cut"]}
        return Outcome("done", values, produced=(Produced(name, index["sha256"], size),))

    return open_or_make(
        context.on_note,
        AGAIN,
        lambda: _fault(context, folder, images),
        lambda: _extract(context, images, _split(network), stage.prefix, precision, folder),
        ended,
        expected=NOT_THERE,
        fetch=lambda: _fetched(context, name, images),
    )


def take_features(
    context: Context,
    stage: Train | Evaluate,
    images: Images,
    network: Network,
    opened: Opened | None = None,
) -> tuple[Network, Samples]:
    """Return what a stage trains or evaluates, and on what: features where its plan says so.

    Where a training augments its batches, it trains all layers on images, and evaluates those
    behind the prefix on features.

    Args:
        context: of the stage.
        stage: the stage.
        images: its images.
        network: its whole network.
        opened: features to be taken from, where they are, and to be put into.

    Raises:
        Interrupted: when asked to stop.
        OSError: when the disk is full.
    """
    if not stage.on_features or stage.prefix is None:
        return network, images
    precision = typed_settings(stage.settings).train.precision
    head = _split(network).head
    if isinstance(stage, Train) and not stage.trains_on_features:
        kind: type[Features] = FeaturesWhereEvaluated
        network = replace(network, head=head)
    else:
        kind = Features
        network = replace(network, active=head)
    known: Opened = {} if opened is None else opened
    place = (stage.prefix.name, kind, images)
    if place not in known:
        known[place] = open_features(context, images, network, stage.prefix, precision, kind)
    return network, known[place]


def open_features(
    context: Context,
    images: Images,
    network: Network,
    prefix: FrozenPrefix,
    precision: str,
    kind: type[Features] = Features,
) -> Features:
    """Return the features, computed again when they are gone, damaged or of other numerics.

    Args:
        context: of the stage.
        images: that they are of.
        network: that begins with the prefix.
        prefix: it.
        precision: of the forward pass.
        kind: as what they are opened.

    Raises:
        Interrupted: when asked to stop.
        OSError: when the disk is full.
    """
    folder = context.artifact_path(prefix.name)

    def fault() -> str:
        if folder.is_dir():
            os.utime(folder / INDEX)  # before the checksum: others spare what is in use
        return _fault(context, folder, images)

    return open_or_make(
        context.on_note,
        AGAIN,
        fault,
        lambda: _extract(context, images, _split(network), prefix, precision, folder),
        lambda: kind(folder, images),
        fetch=lambda: _fetched(context, prefix.name, images),
    )


def _split(network: Network) -> SplitNetwork:
    split = network.split()
    assert split is not None, "a plan asks for features of a network without a frozen prefix"
    return split


def _fetched(context: Context, name: str, images: Images) -> bool:
    """Bring features from the shared store, if they would do."""

    def accept(text: str) -> bool:
        try:
            return not _foreign(context, json.loads(text), images)
        except ValueError:
            return False

    return fetched(context, name, accept)


def _fault(context: Context, folder: Path, images: Images) -> str:
    """Return why the features in ``folder`` cannot be used, or ""."""
    try:
        index = json.loads((folder / INDEX).read_text())
        (folder / ARRAY).stat()
    except (OSError, ValueError):
        return NOT_THERE
    if why := _foreign(context, index, images):
        return why
    return "" if is_whole(folder / ARRAY, index.get("sha256"), file_digest) else DAMAGED


def _foreign(context: Context, index: Any, images: Images) -> str:
    """Return why features are not those that are wanted, by their index, or ""."""
    if not isinstance(index, dict) or index.get("pixels") != images.digest:
        return "they were made from other pixels"
    is_alike = _rounding(index.get("numerics", {})) == _rounding(context.numerics)
    if not is_alike and not context.accept_mixed:
        return "they were made with another device, torch or engine"
    return ""


def _rounding(numerics: Mapping[str, Any]) -> dict[str, Any]:
    """Return numerics without threads, which follow from the network behind the prefix too."""
    return {name: value for name, value in numerics.items() if name != "threads"}


def _extract(
    context: Context,
    images: Images,
    split: SplitNetwork,
    prefix: FrozenPrefix,
    precision: str,
    folder: Path,
) -> None:
    shape = (len(images.index["labels"]) * prefix.stored_views, *prefix.shape)
    if context.cache is not None:
        context.cache.make_room(folder, 4 * int(np.prod(shape)))
    with array_folder(folder, ARRAY) as partial:
        features = allocate(partial / ARRAY, shape, np.float32)
        _fill(context, images, split, precision, features)
        del features
        index = {
            "cut": split.cut,
            "pixels": images.digest,
            "shape": list(shape),
            "sha256": file_digest(partial / ARRAY),
            "numerics": dict(context.numerics),
        }
        (partial / INDEX).write_text(json.dumps(index))
        reached("features written, not renamed")
    reached("features in place, not recorded")
    share(context.artifacts, prefix.name)


def _fill(
    context: Context, images: Images, split: SplitNetwork, precision: str, features: NDArray[Any]
) -> None:
    total, num_images = len(features), len(images.index["labels"])
    split.prefix.eval()
    with torch.inference_mode():
        for first in range(0, total, num_images):
            every = torch.arange(num_images)
            for indices in torch.split(every, evaluation_batch_size(images.shape, images.device)):
                if context.should_stop():
                    stopped = "stopped while computing frozen features; they start again later"
                    raise Interrupted(stopped)
                inputs = images.inputs(indices)
                if first:  # the second view
                    inputs = in_format(inputs.flip(-1), images.memory_format)
                with autocast(images.device, precision):
                    output = split.prefix(inputs)
                start = first + int(indices[0])
                features[start : start + len(indices)] = output.float().cpu().numpy()
                reached("features of a batch computed")
                context.on_progress(Progress(start + len(indices), total))
