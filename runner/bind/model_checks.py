"""Data, weights and network held together: what only a built model can tell, before any work.

Owns these checks and their file:line problems. Builds networks on the meta device and reads
weights; answers are remembered, so that planning again needs neither.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from runner.artifacts.memory import LayoutCache
from runner.bind.own_checks import check_own_code
from runner.bind.positions import network_problems, problem_at, unknown_layer
from runner.bind.timm_checks import built_by, why_not_in_parts
from runner.components.augmentations.augmentation import UnsuitableSize
from runner.components.component import keyed_settings
from runner.components.data.dataset import ImageSource
from runner.components.data.splitting import (
    TooFewForFolds,
    TooFewTrainingImages,
    UnsplittableError,
)
from runner.components.models.classifier import UnknownLayer
from runner.components.models.pretrained import Pretrainable, weights_name
from runner.core.errors import UsageError
from runner.core.keys import content_key
from runner.core.moments import reached
from runner.core.prefix import FrozenPrefix
from runner.core.sharing import SHARED, Unshared
from runner.lower.trajectory import num_views, pixels_key, prefix_key
from runner.spec.cells import ResolvedCell
from runner.spec.nodes import find

PROVISIONAL = "provisional"
FEWER_FOLDS = "take fewer folds, or leave out classes that have so few images"


@dataclass(frozen=True, slots=True)
class BoundModel:
    """What is known of a cell once its data and network are.

    Attributes:
        shape: channels, height, width of its images.
        parameters: weights of its network.
        multiply_adds: of its network for one image.
        weights: digest of the pretrained tensors that are loaded, "" without.
        prefix: the frozen part with which its network begins, or None; None also where nothing may
            be computed once of it.
        unshared: why its training shares less than others.
    """

    shape: tuple[int, int, int]
    parameters: int
    multiply_adds: int
    weights: str
    prefix: FrozenPrefix | None
    unshared: Unshared = SHARED


class ModelChecker:
    """Checks cells; what several of them share is built and checked once."""

    def __init__(self, layouts: LayoutCache) -> None:
        self._layouts = layouts
        self._checked: dict[Hashable, dict[str, Any]] = {}

    def check(
        self, resolved: ResolvedCell, source: ImageSource, weights: Path | None
    ) -> BoundModel:
        """Return what a cell is once data and network are known.

        Args:
            resolved: the cell.
            source: its images.
            weights: the file of its pretrained weights; None without, or where it is not there.

        Raises:
            SpecError: when they do not go together.
        """
        settings = resolved.settings
        layout = self._layout(resolved, source)
        channels, height, width = layout["shape"]
        shape = (int(channels), int(height), int(width))
        check_augmentation(resolved, shape)
        unshared = check_own_code(resolved, shape, len(source.classes), self._layouts)
        unsplit = layout["unsplit"]
        if layout["cut"]:
            unsplit = why_not_in_parts(settings, shape, len(source.classes), self._layouts)
        if unsplit:
            unshared = replace(unshared, features=f"'{settings.model.name}': {unsplit}")
        loaded = prefix_weights = ""
        if weights_name(settings.model):
            loaded = prefix_weights = f"{PROVISIONAL} {weights_name(settings.model)}"
        if weights is not None:
            loaded, prefix_weights = self._digests(resolved, source, shape, weights)
        prefix = None
        if layout["cut"] and unshared == SHARED:
            views = num_views(settings)
            key = prefix_key(
                settings,
                source.fingerprint,
                layout["structure"],
                prefix_weights,
                loaded,
                views or 1,
            )
            prefix = _prefix(key, layout, views, len(source.names))
        parameters, multiply_adds = layout["parameters"], layout["multiply_adds"]
        return BoundModel(shape, parameters, multiply_adds, loaded, prefix, unshared)

    def _layout(self, resolved: ResolvedCell, source: ImageSource) -> dict[str, Any]:
        """Return image shape and network layout; check data and model together, once."""
        settings, data = resolved.settings, resolved.settings.data
        batch = (settings.train.batch_size, settings.train.drop_last)
        alike = (source.fingerprint, data, settings.model, batch)
        if alike in self._checked:
            return self._checked[alike]
        sampled: list[Any] = [] if data.train_images is None else [data.train_images]
        sampled += [] if data.fold is None else [keyed_settings(data.fold)]
        key = content_key(
            "layout",
            {
                "pixels": pixels_key(data, source.fingerprint),
                "model": keyed_settings(settings.model),
                "splits": [data.validation, data.test_share(), data.split_seed, *sampled],
                "batch": batch,
                "normalize": data.normalization(),
                **built_by(settings.model),
            },
        )
        known = self._layouts.get(key)
        if known is None:
            _check_labels(resolved, source)
            _check_split(resolved, source)
            reached("first image about to be decoded")
            shape = _peek(resolved, source)
            known = {"shape": shape, **_check_network(resolved, source, shape)}
            self._layouts.put(key, known)
        self._checked[alike] = known
        return known

    def _digests(
        self, resolved: ResolvedCell, source: ImageSource, shape: tuple[int, int, int], path: Path
    ) -> tuple[str, str]:
        """Return the digests of the tensors loaded, and of those of the frozen prefix."""
        model = resolved.settings.model
        classes = len(source.classes) if model.classes is None else model.classes
        built = [*built_by(model).values()]
        key = content_key("weights", [keyed_settings(model), shape, classes, *built])
        known = self._layouts.get(key)
        if known is None:
            known = _check_weights(resolved, source, shape, path)
            self._layouts.put(key, known)
        return known[0], known[1]


def _prefix(
    key: str, layout: Mapping[str, Any], views: int | None, num_images: int
) -> FrozenPrefix:
    """Return the frozen prefix of a layout, with the bytes of its float32 outputs."""
    shape = tuple(layout["features"])
    num_bytes = 4 * num_images * (views or 1) * math.prod(shape)
    return FrozenPrefix(key, layout["cut"], shape, views, num_bytes)


def _check_labels(resolved: ResolvedCell, source: ImageSource) -> None:
    classes, labels = resolved.settings.model.classes, len(source.classes)
    if classes is not None and classes < labels:
        found = f"model.classes is {classes}, but the data has {labels} labels"
        raise problem_at(
            resolved,
            "model.classes",
            found,
            f"at least {labels}",
            hint="leave it out to have one for each label",
        )


def _check_split(resolved: ResolvedCell, source: ImageSource) -> None:
    settings, data = resolved.settings, resolved.settings.data
    try:
        splits = data.split(source.labels, source.classes, source.splits, source.groups)
    except TooFewTrainingImages as error:
        allowed = "at least one image of each class"
        raise problem_at(resolved, "data.train_images", f"data.{error}", allowed) from None
    except TooFewForFolds as error:
        raise problem_at(resolved, "data.fold", str(error), hint=FEWER_FOLDS) from None
    except UnsplittableError as error:
        path = "data.test" if find(resolved.tree, ["data", "test"]) else "data.validation"
        hint = "take more images, or a fraction of 0 for data.test or data.validation"
        raise problem_at(resolved, path, str(error), hint=hint) from None
    train = len(splits["train"])
    if data.train_images is not None and data.train_images > train:
        found = (
            f"data.train_images is {data.train_images}, but there are only {train} training images"
        )
        hint = "null stands for all of them"
        raise problem_at(resolved, "data.train_images", found, f"at most {train}", hint=hint)
    if settings.evaluate.test != "never" and not splits["test"]:
        found = (
            f"test images are wanted (evaluate.test: {settings.evaluate.test}), but there are none"
        )
        raise problem_at(resolved, "data", found, hint="set evaluate.test: never")
    if settings.train.drop_last and settings.train.batch_size > train:
        found = (
            f"train.batch_size is {settings.train.batch_size}, but there are only"
            f" {train} training images, and an incomplete batch is dropped"
        )
        hint = "take a smaller batch, or drop_last: false"
        raise problem_at(resolved, "train.batch_size", found, f"at most {train}", hint=hint)


def _peek(resolved: ResolvedCell, source: ImageSource) -> tuple[int, int, int]:
    """Return the shape of the first image that can be decoded, after preprocessing.

    Raises:
        SpecError: when it cannot be preprocessed as the spec says.
        UsageError: when the first hundred images cannot be decoded.
        DataError: when one is no longer what was hashed.
    """
    from runner.engine.stages.prepare import Corrupt, read_image, transform

    for index in range(min(100, len(source.names))):
        image = read_image(source, index)
        if isinstance(image, Corrupt):
            continue
        try:
            height, width, channels = transform(image, resolved.settings.data).shape
        except (ValueError, MemoryError) as error:
            path = "data.crop" if "data.crop" in str(error) else "data.resize"
            said = str(error) or "the resized image does not fit into the memory"
            raise problem_at(resolved, path, f"{source.names[index]}: {said}") from None
        return channels, height, width
    where = f" under {source.root}" if source.root is not None else ""
    raise UsageError(f"none of the first images{where} can be decoded")


def check_augmentation(resolved: ResolvedCell, shape: tuple[int, int, int]) -> None:
    """Check that images of this shape, (C, H, W), can go through the cell's augmentation.

    Raises:
        SpecError: when they cannot, or come out in another size.
    """
    augment = resolved.settings.train.augment
    if augment is None:
        return
    try:
        augment.check(shape[1:])
    except UnsuitableSize as unsuitable:
        path = f"train.augment.{unsuitable.setting}"
        raise problem_at(resolved, path, f"{path}: {unsuitable}", unsuitable.allowed) from None


def _check_network(
    resolved: ResolvedCell, source: ImageSource, shape: tuple[int, int, int]
) -> dict[str, Any]:
    """Return the layout of the network, as JSON."""
    from runner.engine.network.layout import network_layout

    with network_problems(resolved):
        return asdict(network_layout(resolved.settings, shape, len(source.classes)))


def _check_weights(
    resolved: ResolvedCell, source: ImageSource, shape: tuple[int, int, int], path: Path
) -> list[str]:
    from runner.engine.network.layout import weights_digest
    from runner.engine.network.weights import WeightsMismatch, check_file
    from runner.engine.numerics import flush_denormals

    flush_denormals()  # tensors of the file are looked at: no thread may begin before
    model = resolved.settings.model
    assert isinstance(model, Pretrainable)
    try:
        digest = weights_digest(resolved.settings, shape, len(source.classes), path)
        check_file(model, path)
    except UnknownLayer as error:
        raise unknown_layer(resolved, error) from None
    except WeightsMismatch as error:
        raise problem_at(
            resolved, "model.weights", str(error), error.allowed, hint=error.hint
        ) from None
    return [digest.loaded, digest.prefix]
