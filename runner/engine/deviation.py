"""How far stored features are from those that an unshared training computes.

Sharing features is not bitwise: they are computed in batches of another size and order than those
of training. Owns the measure of that difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from runner.components.data.dataset import DatasetSettings
from runner.components.settings import Settings
from runner.core.stages import ExtractFeatures
from runner.engine.arithmetic import computing, memory_format
from runner.engine.context import Context
from runner.engine.data.pixels import open_images
from runner.engine.data.samples import Samples
from runner.engine.network.build import network_for
from runner.engine.stages.evaluate import autocast
from runner.engine.stages.features import open_features

BATCHES = 4
"""First batches of the first epoch that are looked at."""


def features_deviation(context: Context, stage: ExtractFeatures, settings: Settings) -> float:
    """Return the largest relative difference of an image's features (norm of the difference).

    Compared are the stored features of a stage and what its prefix gives in the first batches of a
    training with these settings, or of its evaluation where the training augments its images.

    Raises:
        DataError: when the pixels are gone or damaged, and cannot be prepared again.
    """
    with computing(context.device, settings.train.precision, context.deterministic):
        return _deviation(context, stage, settings)


def _deviation(context: Context, stage: ExtractFeatures, settings: Settings) -> float:
    data: DatasetSettings = settings.data
    form = memory_format(context.device, settings.train.precision)
    images = open_images(context, stage.pixels_key, data, form)
    network = network_for(context, settings, images)
    features = open_features(context, images, network, stage.prefix, settings.train.precision)
    split = network.split()
    assert split is not None
    network.eval()
    train = settings.train
    pairs = zip(_inputs(images, settings), _inputs(features, settings), strict=True)
    largest = 0.0
    with torch.inference_mode():
        for pixels, stored in islice(pairs, BATCHES):
            with autocast(context.device, train.precision):
                computed = split.prefix(pixels).float().flatten(1)
            gaps = (computed - stored.flatten(1)).norm(dim=1) / computed.norm(dim=1).clamp_min(
                1e-12
            )
            largest = max(largest, float(gaps.max()))
    return largest


def _inputs(samples: Samples, settings: Settings) -> Iterator[Tensor]:
    """Yield the inputs of a run's batches for which it may use features.

    What is evaluated comes in batches as large as those of a training, whatever the samples are.
    """
    train = settings.train
    if train.num_views() is None:
        for indices in torch.split(samples.splits["train"], train.batch_size):
            yield samples.inputs(indices)
        return
    given = (settings.seed, 1, train.batch_size, train.drop_last, train.augment, train.sampling)
    yield from (inputs for inputs, _ in samples.training_batches(*given))
