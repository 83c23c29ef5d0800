"""Images and their augmented versions, for a figure.

Needs data, but no runs. Imports torch within its functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runner.bind.binder import Binder
from runner.bind.model_checks import check_augmentation
from runner.bind.workspace import Workspace
from runner.components.data.splitting import UnsplittableError
from runner.core.errors import DataError, UsageError
from runner.report.figures.samples import MOST_PIPELINES, SampleGroup
from runner.spec.cells import ResolvedCell
from runner.spec.experiment import Experiment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from runner.components.data.dataset import DatasetSettings, ImageSource

NUM_VERSIONS = 4
"""Augmented pictures in a row where one pipeline has it to itself."""


def sample_groups(
    experiment: Experiment,
    chosen: Sequence[ResolvedCell],
    names: Mapping[int, str],
    workspace: Workspace,
    num_images: int,
) -> tuple[SampleGroup, ...]:
    """Return a group for each data set and preprocessing, with the pipelines used on it.

    The images are training images of different classes; every image goes through each pipeline
    as a whole, with the draws of the cell's seed.

    Args:
        experiment: the spec.
        chosen: the cells whose pipelines are shown; cells without one are passed over.
        names: of the cells, by position.
        workspace: where data lies.
        num_images: images of each data set.

    Raises:
        UsageError: when no cell augments, or too many differently.
        SpecError: for missing data, or a pipeline that its images cannot go through.
        DataError: for images that cannot be decoded or split, or are of different sizes.
    """
    binder = Binder(workspace)
    by_data: dict[DatasetSettings, list[ResolvedCell]] = {}
    for item in chosen:
        if item.settings.train.augment is not None:
            scaled = binder.scaled(item)
            by_data.setdefault(scaled.settings.data, []).append(scaled)
    if not by_data:
        raise UsageError(f"no chosen cell of {experiment.path} augments its images (train.augment)")
    return tuple(_group(experiment, cells, names, binder, num_images) for cells in by_data.values())


def _group(
    experiment: Experiment,
    cells: Sequence[ResolvedCell],
    names: Mapping[int, str],
    binder: Binder,
    num_images: int,
) -> SampleGroup:
    from runner.engine.data.augment import augmented_samples

    source = binder.source(experiment, cells[0])
    assert source is not None
    by_pipeline: dict[str, list[ResolvedCell]] = {}
    for item in cells:
        assert item.settings.train.augment is not None
        by_pipeline.setdefault(item.settings.train.augment.model_dump_json(), []).append(item)
    if len(by_pipeline) > MOST_PIPELINES:
        found = f"{len(by_pipeline)} different augmentations; a figure takes {MOST_PIPELINES}"
        raise UsageError(found, hint="choose some with --only")
    labels, pixels = _images(source, cells[0].settings.data, num_images)
    height, width, channels = pixels.shape[1:]
    count = max(1, NUM_VERSIONS // len(by_pipeline))
    mean, _ = cells[0].settings.data.normalization()
    versions: list[tuple[str, float, NDArray[np.uint8]]] = []
    for same in by_pipeline.values():
        check_augmentation(same[0], (channels, height, width))
        pipeline = same[0].settings.train.augment
        assert pipeline is not None
        made = augmented_samples(pixels, pipeline, same[0].settings.seed, count, mean)
        versions.append((_name(same, names), pipeline.p, made))
    return SampleGroup(tuple(labels), pixels, tuple(versions))


def _name(same: Sequence[ResolvedCell], names: Mapping[int, str]) -> str:
    """Return the name of the first of these cells, and how many more there are."""
    distinct = list(dict.fromkeys(names[item.cell.position] for item in same))
    more = len(distinct) - 1
    return distinct[0] + (f" and {more} more" if more else "")


def _images(
    source: ImageSource, settings: DatasetSettings, count: int
) -> tuple[list[str], NDArray[np.uint8]]:
    """Return class names and pixels (N, H, W, C) of training images of evenly spaced classes."""
    import numpy as np

    from runner.engine.stages.prepare import Corrupt, decoded, sizes_differ

    by_class: dict[int, list[int]] = {}
    for index in _training_images(source, settings):
        by_class.setdefault(source.labels[index], []).append(index)
    classes = [by_class[label] for label in sorted(by_class)]
    spread = [classes[number * len(classes) // count] for number in range(count)]
    chosen = [
        indices[spread[:number].count(indices) % len(indices)]
        for number, indices in enumerate(spread)
    ]
    pixels: list[NDArray[np.uint8]] = []
    for index, image in zip(chosen, decoded(source, chosen, settings), strict=True):
        if isinstance(image, Corrupt):
            found = f"{image.name} cannot be decoded: {image.error}"
            raise DataError(found, hint="remove it, or set data.on_corrupt: skip")
        if pixels and image.shape != pixels[0].shape:
            names = source.names[index], source.names[chosen[0]]
            raise DataError(sizes_differ(names[0], image, names[1], pixels[0]))
        pixels.append(image)
    return [source.classes[source.labels[index]] for index in chosen], np.stack(pixels)


def _training_images(source: ImageSource, settings: DatasetSettings) -> list[int]:
    """Return the indices of the images that train, as the engine splits them.

    Corrupt images that are to be skipped are so before the split, so all images are decoded then.
    """
    kept = list(range(len(source.names)))
    if settings.on_corrupt == "skip":
        kept = _decodable(source, settings)
    labels = [source.labels[index] for index in kept]
    official = [source.splits[index] for index in kept] if source.splits else []
    groups = [source.groups[index] for index in kept] if source.groups else []
    try:
        train = settings.split(labels, source.classes, official, groups)["train"]
    except UnsplittableError as error:
        raise DataError(str(error)) from None
    if not train:
        raise DataError("no image of the data is left to train with")
    return [kept[position] for position in train]


def _decodable(source: ImageSource, settings: DatasetSettings) -> list[int]:
    """Return the indices of the images that can be decoded; decoding uses all cores."""
    from runner.engine.stages.prepare import Corrupt, corrupt_message, decoded

    indices = range(len(source.names))
    corrupt = [each for each in decoded(source, indices, settings) if isinstance(each, Corrupt)]
    if len(corrupt) == len(indices):
        raise DataError(corrupt_message(source, corrupt))
    left_out = {each.index for each in corrupt}
    return [index for index in indices if index not in left_out]
